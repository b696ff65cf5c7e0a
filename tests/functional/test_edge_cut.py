"""The line is cut while bytes are on their way, and what a site that is cut off asks of nobody."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from skerry.api.context import Edge
from skerry.core.units import Rate
from skerry.lab.link import Link
from skerry.lab.shape import Shape
from skerry.transfer.fetch import Fetch
from tests.functional.sites import Api, eventually, line_to, noise, running, settings
from tests.simulators.clock import ManualClock
from tests.simulators.upstream import Upstream

SIZE = 4 << 20
TTL = 60


@dataclass
class Shore:
    """An edge over an upstream, and the line between them."""

    upstream: Upstream
    line: Link
    edge: Api
    clock: ManualClock

    @property
    def part(self) -> Edge:
        """What makes it an edge."""
        assert self.edge.site.edge is not None
        return self.edge.site.edge

    async def cut(self) -> None:
        """Cut the line, and return when the edge knows."""
        self.line.cut()
        await eventually(lambda: not self.part.link.connected)


@pytest.fixture
async def shore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shore]:
    monkeypatch.setattr("skerry.upstream.link._FIRST_PROBE", 0.05)
    upstream, clock = Upstream(), ManualClock()
    async with upstream.listening() as behind, line_to(behind) as (line, url):
        section = {"url": url, "ttl": TTL, "timeout": "400ms", "stall": "2s"}
        async with running(settings(tmp_path / "edge", upstream=section), clock) as edge:
            yield Shore(upstream, line, edge, clock)


async def test_a_client_that_is_being_fed_gets_the_rest_when_the_line_is_back(shore: Shore) -> None:
    data = noise(SIZE)
    image = shore.upstream.add(data)
    shore.upstream.held.clear()
    async with shore.edge.session.get(f"{shore.edge.url}/v2/images/{image}/file") as response:
        got = await response.content.readexactly(SIZE // 2)
        await shore.cut()  # which the edge finds out by itself: nobody asks it anything
        shore.upstream.held.set()
        shore.line.restore()
        async with asyncio.timeout(10):
            assert got + await response.read() == data


async def test_a_client_that_is_being_fed_is_told_when_the_fetch_ends_without_the_rest(shore: Shore) -> None:
    image = shore.upstream.add(noise(SIZE))
    shore.upstream.held.clear()
    async with shore.edge.session.get(f"{shore.edge.url}/v2/images/{image}/file") as response:
        await response.content.readexactly(SIZE // 2)
        await shore.cut()
        assert (await shore.edge.call("DELETE", f"/v2/cache/{image}"))[0] == 204
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert [*shore.edge.site.store.ids(), *shore.edge.site.store.partials()] == []


async def test_new_clients_get_503_at_once_while_the_image_is_not_whole_and_the_line_is_cut(
    shore: Shore,
) -> None:
    image, unheard = shore.upstream.add(noise(SIZE)), shore.upstream.add(noise(SIZE))
    await shore.edge.show(unheard)
    shore.upstream.held.clear()
    async with shore.edge.session.get(f"{shore.edge.url}/v2/images/{image}/file") as response:
        await response.content.readexactly(1000)
        await shore.cut()
        for _ in range(5):
            for path in (f"/v2/images/{image}/file", f"/v2/images/{unheard}/file"):
                async with asyncio.timeout(0.3):
                    status, headers, body = await shore.edge.call("GET", path)
                assert (status, "Retry-After" in headers, b"upstream" in body) == (503, True, True)
        response.close()


async def test_the_first_client_to_meet_a_cut_line_is_told_soon(shore: Shore) -> None:
    image = shore.upstream.add(noise(SIZE))
    await shore.edge.show(image)  # within the TTL nobody asks about the record
    shore.line.cut()
    async with asyncio.timeout(2):
        assert (await shore.edge.call("GET", f"/v2/images/{image}/file"))[0] == 503
    shore.line.restore()
    await shore.part.link.wait_connected()
    async with asyncio.timeout(10):
        await shore.edge.download(image)


async def test_a_client_that_leaves_while_the_line_is_cut_leaves_nothing_behind(shore: Shore) -> None:
    image = shore.upstream.add(noise(SIZE))
    shore.upstream.held.clear()
    async with shore.edge.session.get(f"{shore.edge.url}/v2/images/{image}/file") as response:
        await response.content.readexactly(1000)
        await shore.cut()
        response.close()
    await eventually(lambda: not shore.part.cache.readers)


def has_come(fetch: Fetch, bytes_: int) -> bool:
    return fetch.done >= bytes_


async def test_a_transfer_that_is_cut_ten_times_costs_hardly_more_than_its_bytes(shore: Shore) -> None:
    size = 16 << 20
    data = noise(size)
    image = shore.upstream.add(data)
    shore.line.reshape(Shape(Rate(200_000_000)))
    client = asyncio.create_task(shore.edge.download(image))
    await eventually(shore.part.cache.fetches)
    (fetch,) = shore.part.cache.fetches()
    for cut in range(10):
        await eventually(partial(has_come, fetch, size * (cut + 1) // 12))
        await shore.cut()
        shore.line.restore()
        await shore.part.link.wait_connected()
    async with asyncio.timeout(20):
        assert await client == data
    assert shore.upstream.sent <= size * 1.03


async def test_a_connection_that_is_broken_ten_times_costs_hardly_more_than_its_bytes(shore: Shore) -> None:
    data = noise(SIZE)
    image = shore.upstream.add(data)
    shore.upstream.break_after = SIZE // 11
    assert await shore.edge.download(image) == data
    assert len(shore.upstream.downloads()) >= 10
    assert shore.upstream.sent <= SIZE * 1.03


async def test_a_site_that_is_cut_off_serves_what_it_has_without_a_call(tmp_path: Path) -> None:
    """P5, by structure: nothing is in the way of an answer, so it takes as long as when connected."""
    upstream, clock = Upstream(), ManualClock()
    data = noise(SIZE)
    image = upstream.add(data, visibility="shared")
    async with upstream.listening() as behind, line_to(behind) as (line, url):
        section = {"url": url, "ttl": TTL, "timeout": "300ms"}
        async with running(settings(tmp_path / "edge", upstream=section), clock) as edge:
            assert await edge.download(image) == data
            await edge.call("GET", "/v2/images")
            await edge.call("GET", f"/v2/images/{image}/members")
            assert edge.site.edge is not None
            link, session = edge.site.edge.link, edge.site.edge.upstream.session
            await eventually(edge.site.edge.cache.cached)
            line.cut()
            clock.forward(TTL + 1)
            await edge.show(image)  # the one request that finds it out
            assert not link.connected
            await link.close()  # and with it the probe: whatever is asked of upstream now, is by a request

            asked: list[str] = []
            connector = session.connector
            assert connector is not None
            connect = connector.connect

            async def counted(request: aiohttp.ClientRequest, *rest: object) -> object:
                asked.append(str(request.url))
                return await connect(request, *rest)  # type: ignore[arg-type]

            connector.connect = counted  # type: ignore[method-assign, assignment]
            for path in (
                f"/v2/images/{image}",
                f"/v2/images/{image}/file",
                f"/v2/images/{image}/members",
                "/v2/images",
                "/v2/images?name=one",
                "/v2/images?name=never+heard+of",
                "/v2/schemas/image",
                "/skerry/v1/status",
            ):
                assert (await edge.call("GET", path))[0] == 200, path
            for method, path in (
                ("GET", "/v2/images/11111111-0000-4000-8000-000000000000"),
                ("POST", "/v2/images"),
                ("DELETE", f"/v2/images/{image}"),
            ):
                assert (await edge.call(method, path))[0] == 503, path
            assert await edge.download(image) == data
            assert asked == []
