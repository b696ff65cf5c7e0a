"""An answer of upstream that is left before its end costs the line nothing more."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from skerry.core.clock import SystemClock
from skerry.identity.credential import FixedCredential
from skerry.upstream.client import UpstreamImages

IMAGE = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
async def upstream() -> AsyncIterator[SimpleNamespace]:
    """Sends bytes without end, and notes how the connection ended."""
    seen = SimpleNamespace(ended=asyncio.Event(), requests=0)

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.requests += 1
        response = web.StreamResponse()
        if request.query.get("size") or seen.requests > 1:
            response.content_length = 4
            await response.prepare(request)
            await response.write(b"done")
            return response
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1 << 16))
        except ConnectionError:
            seen.ended.set()
            raise

    app = web.Application()
    app.router.add_get("/v2/images/{image}/file", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        seen.images = UpstreamImages(url, session, FixedCredential(), timeout=2, clock=SystemClock())
        yield seen
    await runner.cleanup()


async def test_its_connection_is_dropped_at_once(upstream: SimpleNamespace) -> None:
    async with upstream.images.data(IMAGE, 0, stall=5) as response:
        transport = response.connection.transport
        assert await response.content.readany()
    assert transport.is_closing()
    async with asyncio.timeout(5):
        await upstream.ended.wait()


async def test_that_of_one_that_was_read_to_its_end_is_used_again(upstream: SimpleNamespace) -> None:
    upstream.requests = 1
    for _ in range(2):
        async with upstream.images.data(IMAGE, 0, stall=5) as response:
            transport = response.connection.transport if response.connection else None
            assert await response.read() == b"done"
    assert transport is None or not transport.is_closing()
