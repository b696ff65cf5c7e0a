"""What siblings get of a site, and how fast."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from skerry.core.errors import Busy, NotFound
from skerry.transfer.egress import Egress
from skerry.transfer.throttle import Throttle


class Quick(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next moment that something waits for."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.ahead += max(0.0, self._scheduled[0]._when - self.time())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@pytest.fixture
def quick() -> Iterator[Quick]:
    loop = Quick()
    yield loop
    loop.close()


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_limit_is_one_of_the_sum_however_many_are_served(quick: Quick, workers: int) -> None:
    egress = Egress(1_000_000)

    async def serve() -> None:
        for _ in range(80 // workers):
            await egress.passed(100_000)

    async def all_of_them() -> float:
        began = quick.time()
        await asyncio.gather(*(serve() for _ in range(workers)))
        return quick.time() - began

    took, started = quick.run_until_complete(all_of_them()), time.monotonic()
    assert egress.sent == 8_000_000
    assert 7.8 <= took <= 8.5
    assert time.monotonic() - started < 5


def test_each_gets_its_part_of_a_limit(quick: Quick) -> None:
    throttle = Throttle(lambda: 1_000_000)
    got = [0, 0, 0]

    async def serve(number: int) -> None:
        while True:
            await throttle.passed(50_000)
            got[number] += 50_000

    async def for_a_while() -> None:
        tasks = [asyncio.create_task(serve(number)) for number in range(3)]
        await asyncio.sleep(10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    quick.run_until_complete(for_a_while())
    assert 9_500_000 <= sum(got) <= 10_300_000
    assert max(got) - min(got) <= 200_000


async def test_who_gives_nothing_says_that_there_is_nothing() -> None:
    nothing = Egress(0)
    assert not nothing.gives
    with pytest.raises(NotFound):
        async with nothing.order():
            pass


async def test_a_site_that_serves_enough_siblings_asks_the_next_to_come_again() -> None:
    egress = Egress()
    orders = [egress.order() for _ in range(4)]
    for order in orders:
        await order.__aenter__()
    with pytest.raises(Busy) as refused:
        async with egress.order():
            pass
    assert refused.value.retry_after
    await orders[0].__aexit__(None, None, None)
    async with egress.order():
        pass
    for order in orders[1:]:
        await order.__aexit__(None, None, None)
