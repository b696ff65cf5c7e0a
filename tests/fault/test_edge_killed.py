"""`kill -9` of an edge at every write point of its cache, and at any other moment of a fetch.

It starts again by itself, shows no half image as whole, goes on from about where it was, and has nothing that
would have to be cleaned by hand.
"""

import asyncio
import hashlib
import os
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.fault.killable import OF_A_TREE, OF_INDEXES, Killable, images_in, killable
from tests.simulators.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 2 << 20
Rows = dict[str, dict[str, Any]]


@dataclass
class Edge:
    """An edge that dies where it is told to, and what it fetches from."""

    site: Killable
    upstream: Upstream

    async def get(self, image: str) -> bytes:
        """All bytes of an image."""
        status, _, body = await self.site.call("GET", f"/v2/images/{image}/file")
        assert status == 200, body
        assert isinstance(body, bytes)
        return body

    async def copies(self) -> Rows:
        """The rows, by id."""
        status, _, answer = await self.site.call("GET", "/skerry/v1/cache")
        assert status == 200
        return {copy["image_id"]: copy for copy in answer["copies"]}

    async def until(self, holds: Callable[[Rows], bool]) -> None:
        """Return when it holds of the rows."""
        async with asyncio.timeout(20):
            while not holds(await self.copies()):  # noqa: ASYNC110  (it happens in another program)
                await asyncio.sleep(0.02)

    async def settled(self, *images: str) -> None:
        """Return when these, and no others, are on their way or here, all of them whole."""
        whole = dict.fromkeys(images, "complete")
        await self.until(lambda copies: {image: copy["state"] for image, copy in copies.items()} == whole)

    def files(self) -> tuple[set[str], set[str]]:
        """Ids of whole files and of partial ones. Any other file is one too many."""
        whole: set[str] = set()
        partial: set[str] = set()
        for path in images_in(self.site.images):
            (partial if path.parent.name == ".incoming" else whole).add(path.name)
            assert path.parent.name in ("images", ".incoming")
        return whole, partial

    async def check_shown(self) -> None:
        """Assert that what is shown as whole is whole."""
        for image, copy in (await self.copies()).items():
            if copy["state"] == "complete":
                assert (self.site.images / image).read_bytes() == self.upstream.bytes[image]

    async def check_settled(self, *images: str) -> None:
        """Assert that in the end these are here, each with its row and its file, and nothing beside them."""
        await self.settled(*images)
        await self.check_shown()
        assert self.files() == (set(images), set())

    async def again(self) -> None:
        """Start after a death; nothing else is done by hand."""
        await self.site.died()
        await self.site.start()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """One edge for all of it: what one case would leave behind, the next one finds."""
    upstream = Upstream()
    folder = tmp_path_factory.mktemp("killed")
    async with (
        upstream.listening() as url,
        killable(folder, SKERRY_UPSTREAM_URL=url, SKERRY_UPSTREAM_TIMEOUT="1s") as site,
    ):
        yield Edge(site, upstream)


@pytest_asyncio.fixture(loop_scope="module")
async def edge(one_edge: Edge) -> AsyncIterator[Edge]:
    yield one_edge
    one_edge.upstream.instead.clear()
    one_edge.upstream.asked.clear()
    for image in await one_edge.copies():
        await evict(one_edge, image)
    assert one_edge.files() == (set(), set())


async def fetch(edge: Edge, image: str) -> None:
    await edge.get(image)
    await edge.settled(image)


async def evict(edge: Edge, image: str) -> None:
    await edge.site.call("DELETE", f"/v2/cache/{image}")


async def fetch_wrong_bytes(edge: Edge, image: str) -> None:
    edge.upstream.tamper = 3
    await edge.site.call("PUT", f"/skerry/v1/cache/{image}/pin")
    await edge.until(lambda copies: not edge.upstream.tamper and copies[image]["state"] == "queued")


async def read_again(edge: Edge, image: str) -> None:
    """A bit of the copy is lost, and that is found out."""
    await edge.until(lambda copies: bool(copies[image]["index"]))
    with (edge.site.images / image).open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    body = b'{"images": ["%s"]}' % image.encode()
    await edge.site.call("POST", "/skerry/v1/verify", body, Content_Type="application/json")
    await edge.until(lambda copies: copies[image]["state"] != "complete")


async def to_the_end(edge: Edge, do: "Step", image: str) -> None:
    """Do it, and see that the edge is still there afterwards."""
    await do(edge, image)
    await edge.copies()


Step = Callable[[Edge, str], Awaitable[None]]

AT_THE_END: dict[str, tuple[Step, Step | None]] = {
    "store.bytes-durable": (fetch, None),
    "store.renamed": (fetch, None),
    "keep.bytes-visible": (fetch, None),
    "keep.recorded": (fetch, None),
    "evict.recorded": (evict, fetch),
    "reopen.recorded": (read_again, fetch),
    "evict.recorded, and queued again": (fetch_wrong_bytes, None),
}
"""Write point -> what passes it, and what has to be done before."""

UNDER_WAY = ("checkpoint.bytes-durable", "checkpoint.recorded")
"""Write points that a fetch passes each second."""

OF_NO_FETCH = {
    "begin.recorded", "intake.written", "publish.bytes-visible", "publish.recorded", "delete.recorded",
    "abandon.bytes-gone", "abandon.recorded", "aside.recorded", "evict.bytes-gone", "assembly.bytes-durable",
}  # fmt: skip


async def test_every_write_point_of_a_cache_is_one_that_a_case_below_dies_at() -> None:
    source = Path(__file__).parents[2] / "src" / "skerry"
    written = {
        label
        for file in source.rglob("*.py")
        for label in re.findall(r'reached\("(.+?)"\)', file.read_text())
    }
    died_at = {label.partition(",")[0] for label in (*AT_THE_END, *UNDER_WAY)}
    assert written - OF_NO_FETCH - OF_INDEXES - OF_A_TREE == died_at


@pytest.mark.parametrize("label", AT_THE_END)
async def test_an_edge_killed_at_a_write_point_has_the_copy_or_gets_it(edge: Edge, label: str) -> None:
    data = os.urandom(SIZE)
    image = edge.upstream.add(data)
    do, before = AT_THE_END[label]
    if before is not None:
        await before(edge, image)
    edge.site.die_at(label.partition(",")[0])
    with pytest.raises(aiohttp.ClientError):
        await to_the_end(edge, do, image)
    edge.upstream.tamper = 0
    await edge.again()
    await edge.check_shown()
    assert await edge.get(image) == data
    await edge.check_settled(image)


@pytest.mark.parametrize("label", UNDER_WAY)
async def test_an_edge_killed_at_a_checkpoint_goes_on_from_the_last_one(edge: Edge, label: str) -> None:
    data = os.urandom(SIZE)
    image = edge.upstream.add(data)
    edge.upstream.held.clear()
    edge.site.die_at(label)
    with pytest.raises(aiohttp.ClientError):
        await edge.get(image)
    await edge.again()
    edge.upstream.held.set()
    assert await edge.get(image) == data
    await edge.check_settled(image)
    durable = SIZE // 2 if label == "checkpoint.recorded" else 0
    assert edge.upstream.downloads()[1:] == [f"bytes={durable}-" if durable else ""]


async def test_an_edge_killed_again_and_again_during_a_fetch_comes_to_its_end(edge: Edge) -> None:
    chance = random.Random(2026)
    size = 24 << 20
    data = chance.randbytes(size)
    image = edge.upstream.add(data)
    asked: list[int] = []
    pause = 0.08

    async def in_a_while(request: web.Request) -> web.StreamResponse:
        offset = request.http_range.start or 0
        asked.append(offset)
        headers = {"Content-Range": f"bytes {offset}-{size - 1}/{size}"} if offset else {}
        response = web.StreamResponse(status=206 if offset else 200, headers=headers)
        response.content_length = size - offset
        await response.prepare(request)
        for start in range(offset, size, 256 << 10):
            await response.write(data[start : start + (256 << 10)])
            await asyncio.sleep(pause)
        return response

    edge.upstream.instead["file"] = in_a_while
    durable = [0]
    for _ in range(3):
        client = asyncio.create_task(edge.get(image))
        await asyncio.wait([client], timeout=chance.uniform(0.5, 1.6))
        await edge.site.end()
        with pytest.raises(aiohttp.ClientError):
            await client
        await edge.site.start()
        durable.append((await edge.copies())[image]["durable"])
        await edge.check_shown()
    pause = 0
    assert hashlib.sha256(await edge.get(image)).digest() == hashlib.sha256(data).digest()
    await edge.check_settled(image)
    assert durable == sorted(durable)
    assert asked == durable
    assert asked[-1] > 1 << 20


async def test_an_edge_that_is_told_to_stop_during_a_fetch_stops_soon_and_goes_on_later(edge: Edge) -> None:
    data = os.urandom(SIZE)
    image = edge.upstream.add(data)
    edge.upstream.held.clear()
    clients = [asyncio.create_task(edge.get(image)) for _ in range(3)]
    await edge.until(lambda copies: image in copies)
    async with asyncio.timeout(5):
        await edge.site.end(15)
    for client in clients:
        with pytest.raises((aiohttp.ClientError, AssertionError)):
            await client
    edge.upstream.held.set()
    await edge.site.start()
    assert await edge.get(image) == data


async def test_what_an_edge_knows_outlasts_a_kill_and_a_cut(edge: Edge) -> None:
    """A record that was learned a moment ago, and the copy with it, are still of use after a power cut."""
    data = os.urandom(SIZE)
    image = edge.upstream.add(data)
    await fetch(edge, image)
    await edge.site.end()

    async def silence(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise ConnectionResetError

    edge.upstream.instead = dict.fromkeys(("show", "list", "members", "file"), silence)
    await edge.site.start()
    assert await edge.get(image) == data
    assert (await edge.site.call("POST", "/v2/cache/clean"))[
        0
    ] == 200  # removes copies of images that are gone
    assert await edge.get(image) == data
