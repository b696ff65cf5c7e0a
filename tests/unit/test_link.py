"""The line to the site above: who waits when it is cut, and who finds out that it is back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from skerry.core.clock import SystemClock
from skerry.core.errors import UpstreamAway
from skerry.upstream.link import LineState, Link

TIMEOUT = 0.2


class Upstream:
    """Answers, or swallows what is sent to it."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.there.set()
        self.probes = 0
        self.probed = asyncio.Semaphore(0)
        self.calls = 0

    async def probe(self) -> None:
        self.probes += 1
        self.probed.release()
        await self.there.wait()

    async def answer(self) -> str:
        self.calls += 1
        await self.there.wait()
        return "answer"


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def link(upstream: Upstream) -> AsyncIterator[Link]:
    link = Link(upstream.probe, timeout=TIMEOUT, clock=SystemClock())
    yield link
    await link.close()


async def test_a_connected_line_answers(link: Link, upstream: Upstream) -> None:
    assert await link.call(upstream.answer, fallback=False) == "answer"
    assert link.status.state is LineState.CONNECTED


async def test_the_first_call_on_a_cut_line_finds_out_and_the_next_ones_do_not_even_ask(
    link: Link, upstream: Upstream
) -> None:
    upstream.there.clear()
    with pytest.raises(UpstreamAway, match=f"no answer within {TIMEOUT} s"):
        await link.call(upstream.answer, fallback=True)
    assert link.status.state is LineState.CUT
    for fallback in (True, False):
        with pytest.raises(UpstreamAway):
            await link.call(upstream.answer, fallback=fallback)
    assert upstream.calls == 1


async def test_of_many_calls_on_a_cut_line_only_the_oldest_waits_to_the_end(upstream: Upstream) -> None:
    link = Link(upstream.probe, timeout=10 * TIMEOUT, clock=SystemClock())
    upstream.there.clear()
    oldest, *others = [asyncio.create_task(link.call(upstream.answer, fallback=True)) for _ in range(10)]
    await asyncio.wait(others)
    assert not oldest.done()
    assert link.connected
    assert all(isinstance(other.exception(), UpstreamAway) for other in others)
    with pytest.raises(UpstreamAway):
        await oldest
    assert not link.connected
    await link.close()


async def test_the_line_is_found_to_be_back_without_any_call(link: Link, upstream: Upstream) -> None:
    upstream.there.clear()
    with pytest.raises(UpstreamAway):
        await link.call(upstream.answer, fallback=True)
    upstream.there.set()
    async with asyncio.timeout(5):
        await link.wait_connected()
    assert upstream.probes >= 1
    assert await link.call(upstream.answer, fallback=False) == "answer"


async def test_a_refused_connection_is_a_cut_line_at_once(link: Link) -> None:
    async def refuse() -> None:
        raise ConnectionRefusedError("refused")

    with pytest.raises(UpstreamAway, match="refused"):
        await link.call(refuse, fallback=False)
    assert not link.connected


async def test_bytes_that_flow_prove_the_line_while_a_small_call_is_slow(
    link: Link, upstream: Upstream
) -> None:
    upstream.there.clear()

    async def stream() -> None:
        while True:
            link.heard()
            await asyncio.sleep(TIMEOUT / 20)

    flowing = asyncio.create_task(stream())
    with pytest.raises(UpstreamAway):
        await link.call(upstream.answer, fallback=False)
    assert link.connected
    flowing.cancel()


async def test_an_upstream_that_is_slow_and_alive_is_waited_for_longer_and_is_no_cut_line() -> None:
    asked = asyncio.Event()

    async def alive() -> None:
        asked.set()

    slow = Link(alive, timeout=TIMEOUT, clock=SystemClock())
    answer = asyncio.get_running_loop().create_future()
    call = asyncio.create_task(slow.call(lambda: answer, fallback=False))
    await asked.wait()
    with pytest.raises(UpstreamAway, match="slow to answer"):
        await slow.call(asyncio.Event().wait, fallback=True)  # waits for `timeout`, and so does the other
    answer.set_result("late")
    assert await call == "late"
    assert slow.connected


async def test_a_long_write_goes_on_while_upstream_is_alive_and_ends_when_it_is_not(
    link: Link, upstream: Upstream
) -> None:
    done = asyncio.Event()

    async def write() -> str:
        await done.wait()
        return "written"

    writing = asyncio.create_task(link.while_alive(write, patience=TIMEOUT / 10, moved=lambda: 0))
    for _ in range(3):
        await upstream.probed.acquire()
    done.set()
    assert await writing == "written"

    upstream.there.clear()
    done.clear()
    with pytest.raises(UpstreamAway):
        await link.while_alive(write, patience=TIMEOUT / 10, moved=lambda: 0)
