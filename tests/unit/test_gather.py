"""Several sources at once, when something is wrong with them; what goes well is in tests/functional."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skerry.chunking.pack_stream import END
from skerry.chunking.recipe import Flags
from skerry.core.errors import StoreFailed, UpstreamAway, UpstreamFailed
from skerry.core.swarm.swarm import Swarm
from skerry.transfer.gather import Gathering, Hands
from skerry.transfer.siblings import Hears
from skerry.transfer.way import UPSTREAM
from tests.unit.test_egress import Quick


class Sends:
    """A source whose every answer are these bytes."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.asked = 0

    @asynccontextmanager
    async def packs(self, image_id: str, order: bytes, *, stall: float) -> AsyncIterator[Any]:
        self.asked += 1
        yield SimpleNamespace(content=self)

    async def iter_any(self) -> AsyncGenerator[bytes, None]:
        for piece in self.pieces:
            yield piece


class Finds:
    """There is upstream alone, which has all of the image, or some chunks."""

    def __init__(self, has: Flags | None) -> None:
        self.has = has
        self.received = 0

    async def watch(self, image_id: str, index: str, chunks: int, hears: Hears) -> None:
        hears.offered(UPSTREAM, None, self.has)


class Takes:
    """What an order brings: nothing, or the error of a disk."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.ended = True

    async def take(self, arriving: Any, data: bytes) -> list[int]:
        if self.error is not None:
            raise self.error
        return []


async def _nothing(*of: Any, **more: Any) -> None:
    pass


def gathering(upstream: Sends, has: Flags | None, takes: Takes) -> Coroutine[Any, Any, None]:
    task: Any = SimpleNamespace(
        image=SimpleNamespace(id="image"), siblings=Finds(has), upstream=upstream, stall=5.0,
        received=lambda count: None, progressed=lambda: None, passed=_nothing,
    )  # fmt: skip
    hands: Any = Hands(lambda chunks, rate: b"order", lambda: takes, takes.take)  # type: ignore[arg-type, return-value]

    async def run() -> None:
        swarm = Swarm(np.full(100, 65536), np.arange(100))
        await Gathering(task, swarm, hands, Counter(), rate=0.0).run("index", 100)

    return run()


@pytest.fixture
def quick() -> Iterator[Quick]:
    loop = Quick()
    yield loop
    loop.close()


def test_an_upstream_that_sends_nothing_of_what_it_has_is_given_up(quick: Quick) -> None:
    upstream = Sends(END)
    with pytest.raises(UpstreamFailed, match="Nobody sends the last 6553600 bytes"):
        quick.run_until_complete(gathering(upstream, None, Takes()))
    assert 1 <= upstream.asked <= 4


def test_an_upstream_that_waits_for_its_own_is_asked_again_later(quick: Quick) -> None:
    upstream = Sends(END)
    with pytest.raises(UpstreamAway, match="Nobody sends") as away:
        quick.run_until_complete(gathering(upstream, np.zeros(100, np.bool_), Takes()))
    assert away.value.retry_after
    assert upstream.asked == 0


def test_a_disk_that_fails_is_no_fault_of_a_source(quick: Quick) -> None:
    with pytest.raises(StoreFailed, match="broken"):
        quick.run_until_complete(gathering(Sends(END), None, Takes(StoreFailed("The disk is broken."))))
