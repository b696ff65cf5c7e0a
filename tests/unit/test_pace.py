"""How long a slow sender is waited for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from skerry.core.errors import TooSlow
from skerry.transfer.pace import paced


async def at_once(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def then_silence(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    await asyncio.Event().wait()


async def test_what_comes_in_time_is_passed_on_as_it_is() -> None:
    chunks = [chunk async for chunk in paced(at_once(b"a", b"bc"), least=1, window=10)]
    assert chunks == [b"a", b"bc"]


async def test_a_sender_that_falls_silent_is_too_slow() -> None:
    stream = paced(then_silence(b"first"), least=10, window=0.05)
    assert await anext(stream) == b"first"
    with pytest.raises(TooSlow, match="Fewer than 10 bytes a second"):
        await anext(stream)


async def test_a_sender_that_trickles_is_too_slow() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.001)
            yield b"."

    async def receive() -> None:
        async for _ in paced(trickle(), least=1 << 20, window=0.05):
            pass

    async with asyncio.timeout(10):
        with pytest.raises(TooSlow):
            await receive()


async def test_the_time_that_the_receiver_takes_is_not_the_senders() -> None:
    came = []
    async for chunk in paced(at_once(b"a", b"b", b"c"), least=1 << 20, window=0.02):
        await asyncio.sleep(0.03)
        came.append(chunk)
    assert came == [b"a", b"b", b"c"]


async def test_giving_up_closes_the_senders_side() -> None:
    closed = asyncio.Event()

    async def sender() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = paced(sender(), least=1, window=10)
    assert await anext(stream) == b"a"
    await stream.aclose()
    assert closed.is_set()
