"""Clients that are slow, silent, huge or sly: dropped or refused, and nobody else notices."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.functional.sites import Api, eventually, noise, running, settings
from tests.simulators.upstream import Upstream

SIZE = 24 << 20
"""More than the kernel buffers between a site and a client that does not read."""


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@asynccontextmanager
async def patient_for(seconds: float, upstream: Upstream, folder: Path) -> AsyncIterator[Api]:
    """An edge that waits so long for a client."""
    async with upstream.listening() as url:
        api = {"slow_after": f"{int(seconds * 1000)}ms", "min_rate": "1MiB"}
        config = settings(folder / "edge", upstream={"url": url, "ttl": 3600}, api=api)
        async with running(config) as edge:
            yield edge


@pytest.fixture
async def edge(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Api]:
    async with patient_for(0.5, upstream, tmp_path) as edge:
        yield edge


@asynccontextmanager
async def connected(edge: Api) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection, with a small buffer at its end."""
    host, port = edge.url.removeprefix("http://").split(":")
    bare = socket.socket()
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    bare.setblocking(False)
    await asyncio.get_running_loop().sock_connect(bare, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=bare, limit=1 << 16)
    try:
        yield reader, writer
    finally:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the connection ends, which it must do soon."""
    said = b""
    async with asyncio.timeout(5):
        try:
            while more := await reader.read(1 << 16):
                said += more
        except ConnectionResetError:
            pass
    return said


async def test_a_client_that_does_not_read_is_dropped_and_the_others_and_the_fetch_go_on(
    edge: Api, upstream: Upstream
) -> None:
    data = noise(SIZE)
    image = upstream.add(data)
    assert edge.site.edge is not None
    cache = edge.site.edge.cache
    async with connected(edge) as (reader, writer):
        writer.write(f"GET /v2/images/{image}/file HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        assert await edge.download(image) == data  # while the slow one still holds its place
        await eventually(cache.cached)
        await eventually(lambda: not cache.readers)
        assert len(await rest(reader)) < SIZE
    assert await edge.download(image) == data


@pytest.mark.parametrize("begun", [b"", b"GET /v2/images HTTP/1.1\r\nHost: ed"])
async def test_a_client_that_sends_no_whole_header_is_sent_away(edge: Api, begun: bytes) -> None:
    async with connected(edge) as (reader, writer):
        writer.write(begun)
        assert await rest(reader) == b""


async def test_a_client_that_drips_its_header_is_sent_away(edge: Api) -> None:
    async with connected(edge) as (reader, writer), asyncio.timeout(5):
        writer.write(b"GET /v2/images HTTP/1.1\r\nX: ")
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(b"y")
            await asyncio.wait([ended], timeout=0.05)


async def test_a_client_that_takes_its_time_between_requests_is_not_sent_away(
    edge: Api, upstream: Upstream
) -> None:
    """Nor is one whose answer takes long: the header came in time."""
    image = upstream.add(noise(SIZE))
    upstream.held.clear()
    async with connected(edge) as (reader, writer):
        writer.write(b"GET /healthcheck HTTP/1.1\r\nHost: edge\r\n\r\n")
        await reader.readuntil(b"OK")
        asking = asyncio.create_task(
            edge.call("GET", f"/v2/images/{image}/file", headers={"Range": "bytes=-9"})
        )
        done, _ = await asyncio.wait([asking], timeout=0.8)
        assert not done
        upstream.held.set()
        assert (await asking)[0] == 206
        writer.write(b"GET /healthcheck HTTP/1.1\r\nHost: edge\r\n\r\n")
        async with asyncio.timeout(5):
            await reader.readuntil(b"OK")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v2/images HTTP/1.1\r\nHost: edge\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n",
        b"GET /v2/images HTTP/1.1\r\nHost: edge\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"GET /v2/images?name=" + b"y" * (1 << 20) + b" HTTP/1.1\r\nHost: edge\r\n\r\n",
        b"GET /v2/images HTTP/1.1\r\nHost: edge\r\nContent-Length: -5\r\n\r\n",
        b"GET /v2/images HTTP/1.1\r\nHost: edge\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /v2/images/\0 HTTP/1.1\r\nHost: edge\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["long line", "many lines", "long URL", "negative length", "two lengths", "NUL", "TLS"],
)
async def test_a_request_that_is_absurd_is_refused_and_the_connection_ended(edge: Api, head: bytes) -> None:
    async with connected(edge) as (reader, writer):
        writer.write(head)
        assert b" 400 " in (await rest(reader)).partition(b"\r\n")[0]
    assert (await edge.call("GET", "/healthcheck"))[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd", "....//", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "a\0b", ".incoming",
        ".aside", "\u202e", "ÿ", "日本", "a" * 4000, "{}", "'; drop table images; --", "*", "?",
        "00000000-0000-4000-8000-00000000000g",
    ],
)  # fmt: skip
async def test_a_hostile_id_finds_nothing_and_makes_nothing(edge: Api, upstream: Upstream, name: str) -> None:
    before = sorted(edge.site.config.data.rglob("*"))
    for method, path in (
        ("GET", "/v2/images/{}"),
        ("GET", "/v2/images/{}/file"),
        ("GET", "/v2/images/{}/members"),
        ("PUT", "/v2/cache/{}"),
        ("DELETE", "/v2/cache/{}"),
        ("PUT", "/skerry/v1/cache/{}/pin"),
        ("DELETE", "/skerry/v1/cache/{}/pin"),
    ):
        status, _, _ = await edge.call(method, path.format(quote(name, safe="")))
        assert status in (400, 404), (method, path)
    assert sorted(edge.site.config.data.rglob("*")) == before
    assert upstream.asked.count("show") == 0


async def test_an_image_with_a_hostile_name_is_an_image_like_any_other(edge: Api, upstream: Upstream) -> None:
    data = noise(100)
    name = "../../\u202e%00;<script>"
    image = upstream.add(data, name=name, hw_note="../" * 1000)
    assert (await edge.show(image))["name"] == name
    assert await edge.download(image) == data
    _, _, listing = await edge.call("GET", "/v2/images", params={"name": name})
    assert [one["id"] for one in listing["images"]] == [image]
    assert set(edge.site.store.ids()) <= {image}


async def test_the_same_id_in_capitals_is_the_same_image_or_none(edge: Api, upstream: Upstream) -> None:
    image = upstream.add(noise(100)).replace("0000-4000", "abcd-4000")
    assert (await edge.call("GET", f"/v2/images/{image.upper()}"))[0] == 404
