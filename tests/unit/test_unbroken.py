"""Work that a cancelled caller must not leave half done."""

import asyncio

import pytest

from skerry.transfer.unbroken import unbroken


async def test_a_result_and_an_error_come_through() -> None:
    async def fail() -> None:
        raise ValueError("no")

    assert await unbroken(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(ValueError, match="no"):
        await unbroken(fail())


async def test_a_cancelled_caller_learns_the_result_first_and_is_cancelled_next() -> None:
    go_on, learned = asyncio.Event(), []

    async def work() -> str:
        await go_on.wait()
        return "done"

    async def caller() -> None:
        learned.append(await unbroken(work()))
        await asyncio.sleep(3600)

    task = asyncio.create_task(caller())
    await asyncio.sleep(0)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert learned == []
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert learned == ["done"]
