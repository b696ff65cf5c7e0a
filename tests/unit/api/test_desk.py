"""Where requests to join wait."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from skerry.api.federation import Desk
from skerry.core.errors import Busy


async def test_few_are_worked_on_at_a_time_and_not_many_wait() -> None:
    desk, done = Desk(), asyncio.Event()
    at_work = 0

    async def ask() -> None:
        nonlocal at_work
        async with desk.turn():
            at_work += 1
            await done.wait()

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(ask()) for _ in range(68)]
        await asyncio.sleep(0)
        assert at_work == 4
        with pytest.raises(Busy) as refusal:
            await ask()
        assert refusal.value.retry_after == 5

        waiting[-1].cancel()
        await asyncio.sleep(0)
        waiting.append(group.create_task(ask()))
        await asyncio.sleep(0)
        done.set()
    assert at_work == 68


async def test_a_turn_that_ends_badly_is_over() -> None:
    desk = Desk()
    for _ in range(100):
        async with AsyncExitStack() as stack:
            stack.push(lambda *failure: True)
            await stack.enter_async_context(desk.turn())
            raise RuntimeError
    async with asyncio.timeout(1), desk.turn():
        pass
