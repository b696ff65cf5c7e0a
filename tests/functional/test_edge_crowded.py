"""Many at once at an edge: clients, operators, an upstream that changes its mind, and a site that stops."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from skerry.config import Config
from skerry.core.copy import CopyState
from skerry.transfer.cache import Cache
from skerry.transfer.fetch import Fetch
from tests.functional.moments import Moments
from tests.functional.sites import Api, eventually, noise, running, settings
from tests.simulators.upstream import Upstream

SIZE = 2 << 20


@dataclass
class Crowd:
    """An edge over an upstream, with room for three images."""

    upstream: Upstream
    config: Config
    edge: Api

    @property
    def cache(self) -> Cache:
        """The edge's cache."""
        assert self.edge.site.edge is not None
        return self.edge.site.edge.cache

    def states(self) -> dict[str, CopyState]:
        """The state of each copy."""
        return {copy.image_id: copy.state for copy in self.edge.site.copies.all()}

    def files(self) -> tuple[set[str], set[str]]:
        """Whole files, and partial ones."""
        store = self.edge.site.store
        return set(store.ids()), set(store.partials())

    def half(self, image: str) -> "aiohttp.client._RequestContextManager":
        """A download, whose answer begins once half of the image is there."""
        return self.edge.session.get(f"{self.edge.url}/v2/images/{image}/file")

    async def steer(self, method: str, path: str) -> None:
        """A call of an operator's, which must succeed."""
        status, _, body = await self.edge.call(method, path)
        assert status in (202, 204), body


@pytest.fixture
async def crowd(tmp_path: Path) -> AsyncIterator[Crowd]:
    upstream = Upstream()
    async with upstream.listening() as url:
        section = {"url": url, "timeout": "500ms", "stall": 2, "ttl": 3600}
        config = settings(tmp_path / "edge", upstream=section, cache={"size": 3 * SIZE})
        async with running(config) as edge:
            yield Crowd(upstream, config, edge)


async def test_fifty_clients_of_one_image_are_one_fetch(crowd: Crowd) -> None:
    data = noise(SIZE)
    image = crowd.upstream.add(data)
    crowd.upstream.held.clear()
    clients = [asyncio.create_task(crowd.edge.download(image)) for _ in range(50)]
    await eventually(lambda: crowd.cache.readers == 50)
    crowd.upstream.held.set()
    for client in asyncio.as_completed(clients):
        assert await client == data
    assert len(crowd.upstream.downloads()) == 1
    assert crowd.upstream.sent == SIZE


async def test_a_client_that_asks_at_the_moment_of_completion_finds_the_whole_copy(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has seen no whole copy, waits its turn to start a fetch, and the fetch of others ends meanwhile."""
    data = noise(SIZE)
    image = crowd.upstream.add(data)
    crowd.upstream.held.clear()
    first = asyncio.create_task(crowd.edge.download(image))
    await eventually(lambda: crowd.cache.readers)
    async with crowd.cache._admission:
        late = asyncio.create_task(crowd.edge.download(image))
        await eventually(lambda: crowd.cache.readers == 2)
        crowd.upstream.held.set()
        assert await first == data
        await eventually(lambda: crowd.cache.cached() and not crowd.cache.fetches())
    assert await late == data
    assert len(crowd.upstream.downloads()) == 1


async def test_a_pin_given_during_a_fetch_outlasts_its_completion(crowd: Crowd) -> None:
    image, *others = (crowd.upstream.add(noise(SIZE)) for _ in range(4))
    crowd.upstream.held.clear()
    client = asyncio.create_task(crowd.edge.download(image))
    await eventually(crowd.cache.fetches)
    await crowd.steer("PUT", f"/skerry/v1/cache/{image}/pin")
    crowd.upstream.held.set()
    await client
    for other in others:
        await crowd.edge.download(other)
        await eventually(lambda: not crowd.cache.fetches())
    assert crowd.states()[image] is CopyState.COMPLETE
    assert [copy.pinned for copy in crowd.cache.cached() if copy.image_id == image] == [True]


async def test_a_pin_given_at_the_very_end_of_a_fetch_does_not_undo_it(
    crowd: Crowd, moments: Moments
) -> None:
    """The row of the copy changes twice while the database is busy: first to whole, then to pinned."""
    image = crowd.upstream.add(noise(SIZE))
    crowd.upstream.held.clear()
    client = asyncio.create_task(crowd.edge.download(image))
    await eventually(crowd.cache.fetches)
    busy = threading.Event()
    occupied = asyncio.create_task(crowd.edge.site.copies._database.write(lambda _: busy.wait(10)))
    crowd.upstream.held.set()
    await moments.reach("keep.bytes-visible")
    pinning = asyncio.create_task(crowd.cache.pin(image, pinned=True))
    for _ in range(5):
        await asyncio.sleep(0)
    assert crowd.states() == {image: CopyState.PARTIAL}
    busy.set()
    await asyncio.gather(occupied, client, pinning)
    await eventually(lambda: not crowd.cache.fetches())
    (copy,) = crowd.cache.cached()
    assert (copy.state, copy.pinned) == (CopyState.COMPLETE, True)
    assert crowd.files() == ({image}, set())
    assert len(crowd.upstream.downloads()) == 1


async def test_an_image_that_is_queued_and_asked_for_at_the_same_time_is_fetched_once(crowd: Crowd) -> None:
    data = noise(SIZE)
    image = crowd.upstream.add(data)
    got, *_ = await asyncio.gather(
        crowd.edge.download(image),
        *(crowd.steer("PUT", f"/v2/cache/{image}") for _ in range(5)),
        *(crowd.steer("PUT", f"/skerry/v1/cache/{image}/pin") for _ in range(5)),
    )
    assert got == data
    await eventually(lambda: crowd.states() == {image: CopyState.COMPLETE} and not crowd.cache.fetches())
    assert len(crowd.upstream.downloads()) == 1
    assert crowd.cache.cached()[0].pinned


async def test_what_is_being_read_is_not_evicted(crowd: Crowd) -> None:
    read, *others = (crowd.upstream.add(noise(SIZE)) for _ in range(4))
    for image in (read, *others[:2]):
        await crowd.edge.download(image)
        await eventually(lambda: not crowd.cache.fetches())
    record = (await crowd.edge.site.catalogue.get(read)).image
    async with crowd.cache.reading(record):
        await crowd.edge.download(others[2])
        await eventually(lambda: not crowd.cache.fetches())
        assert set(crowd.states()) == {read, others[1], others[2]}


async def test_who_reads_a_copy_that_is_deleted_gets_all_of_it(crowd: Crowd) -> None:
    size = 16 << 20
    data = noise(size)
    image = crowd.upstream.add(data)
    crowd.cache.room.limit = 2 * size
    await crowd.edge.download(image)
    await eventually(crowd.cache.cached)
    async with crowd.half(image) as response:
        got = await response.content.readexactly(1000)
        await crowd.steer("DELETE", f"/v2/cache/{image}")
        assert crowd.files() == (set(), set())
        assert got + await response.read() == data


async def test_deleting_a_copy_that_is_being_fetched_tells_its_clients_and_the_next_one_starts_anew(
    crowd: Crowd,
) -> None:
    data = noise(SIZE)
    image = crowd.upstream.add(data)
    crowd.upstream.held.clear()
    async with crowd.half(image) as response:
        await response.content.readexactly(SIZE // 2)
        waiting = asyncio.create_task(
            crowd.edge.call("GET", f"/v2/images/{image}/file", headers={"Range": "bytes=-9"})
        )
        await eventually(lambda: crowd.cache.readers == 2)
        await crowd.steer("DELETE", f"/v2/cache/{image}")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert (await waiting)[0] == 503
    assert (crowd.states(), crowd.files(), crowd.cache.fetches()) == ({}, (set(), set()), [])
    crowd.upstream.held.set()
    assert await crowd.edge.download(image) == data


async def test_deleting_and_asking_at_the_same_time_leaves_rows_and_files_in_step(crowd: Crowd) -> None:
    image = crowd.upstream.add(noise(SIZE))
    for _ in range(10):
        await asyncio.gather(
            *(crowd.edge.call("GET", f"/v2/images/{image}/file") for _ in range(3)),
            *(crowd.steer("DELETE", f"/v2/cache/{image}") for _ in range(3)),
            crowd.steer("PUT", f"/v2/cache/{image}"),
            return_exceptions=True,
        )
    await eventually(lambda: crowd.states() == {image: CopyState.COMPLETE} or not crowd.states())
    await eventually(lambda: not crowd.cache.fetches())
    assert crowd.files() == (set(crowd.states()), set())
    await crowd.edge.download(image)


async def test_clearing_the_queue_ends_what_is_on_its_way_and_spares_what_is_pinned(crowd: Crowd) -> None:
    whole, queued, pinned = (crowd.upstream.add(noise(SIZE)) for _ in range(3))
    await crowd.edge.download(whole)
    await eventually(lambda: not crowd.cache.fetches())
    crowd.upstream.held.clear()
    await crowd.steer("PUT", f"/v2/cache/{queued}")
    await crowd.steer("PUT", f"/skerry/v1/cache/{pinned}/pin")
    await eventually(lambda: len(crowd.cache.fetches()) == 2)
    status, _, _ = await crowd.edge.call(
        "DELETE", "/v2/cache", headers={"x-image-cache-clear-target": "queue"}
    )
    assert (status, set(crowd.states())) == (204, {whole, pinned})
    crowd.upstream.held.set()
    await eventually(lambda: crowd.states() == dict.fromkeys((whole, pinned), CopyState.COMPLETE))
    await crowd.steer("DELETE", "/v2/cache")
    assert (set(crowd.states()), crowd.files()) == ({pinned}, ({pinned}, set()))


async def test_a_site_that_stops_does_not_keep_its_clients_waiting(crowd: Crowd, tmp_path: Path) -> None:
    image = crowd.upstream.add(noise(SIZE))
    crowd.upstream.held.clear()
    config = settings(tmp_path / "stopping", upstream={"url": crowd.config.upstream.url})
    async with asyncio.timeout(5), aiohttp.ClientSession() as session:
        async with running(config) as edge:
            path = f"{edge.url}/v2/images/{image}/file"
            begun = await session.get(path)
            await begun.content.readexactly(SIZE // 2)
            waiting = asyncio.create_task(session.get(path, headers={"Range": "bytes=-9"}))
            await eventually(lambda: edge.site.edge and edge.site.edge.cache.readers == 2)
        with pytest.raises(aiohttp.ClientPayloadError):
            await begun.read()
        assert (await waiting).status == 503


async def test_a_damaged_fetch_leaves_neither_a_stuck_image_nor_a_dead_worker(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody has thought of: it is told, and does not spread."""
    broken, fine = crowd.upstream.add(noise(SIZE)), crowd.upstream.add(noise(SIZE))
    run = Fetch.run

    async def fail(fetch: Fetch) -> None:
        if fetch.image.id == broken:
            await asyncio.sleep(0)
            fetch._failure = ZeroDivisionError("nobody has thought of this")
            fetch._progress.set()
            raise fetch._failure
        await run(fetch)

    monkeypatch.setattr(Fetch, "run", fail)
    assert (await crowd.edge.call("GET", f"/v2/images/{broken}/file"))[0] == 503
    await crowd.steer("PUT", f"/v2/cache/{broken}")
    await crowd.steer("PUT", f"/v2/cache/{fine}")
    await eventually(lambda: crowd.states().get(fine) is CopyState.COMPLETE)
    assert crowd.states()[broken] is CopyState.QUEUED  # the operator wants it: it is tried again later
    monkeypatch.setattr(Fetch, "run", run)
    await crowd.steer("PUT", f"/v2/cache/{broken}")
    await eventually(lambda: crowd.states()[broken] is CopyState.COMPLETE)


async def test_a_pinned_image_whose_bytes_are_wrong_stays_queued_and_comes_when_they_are_right(
    crowd: Crowd,
) -> None:
    image = crowd.upstream.add(noise(SIZE))
    crowd.upstream.tamper = 3
    await crowd.steer("PUT", f"/skerry/v1/cache/{image}/pin")
    await eventually(lambda: len(crowd.upstream.downloads()) == 3 and not crowd.cache.fetches())
    assert (crowd.states(), crowd.files()) == ({image: CopyState.QUEUED}, (set(), set()))
    await crowd.steer("PUT", f"/v2/cache/{image}")  # now, and not at the next try
    await eventually(lambda: crowd.states()[image] is CopyState.COMPLETE)
    assert crowd.cache.cached()[0].pinned


async def test_an_image_whose_size_changes_while_it_is_fetched_is_fetched_as_it_is_now(crowd: Crowd) -> None:
    old, new = noise(SIZE), noise(SIZE // 2)
    image = crowd.upstream.add(old)
    crowd.upstream.held.clear()
    async with crowd.half(image) as response:
        await response.content.readexactly(1000)
        crowd.upstream.bytes[image] = new
        attributes = crowd.upstream.images[crowd.upstream.add(new)]
        changed = {key: attributes[key] for key in ("size", "checksum", "os_hash_value")}
        crowd.upstream.images[image] |= changed
        assert crowd.edge.site.edge is not None
        crowd.edge.site.edge.catalogue.invalidate(image)
        client = asyncio.create_task(crowd.edge.download(image))
        await eventually(lambda: [fetch.size for fetch in crowd.cache.fetches()] == [len(new)])
        crowd.upstream.held.set()
        assert await client == new
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    await eventually(lambda: crowd.states() == {image: CopyState.COMPLETE})
    assert crowd.files() == ({image}, set())


async def test_an_image_that_is_gone_upstream_leaves_the_queue(crowd: Crowd) -> None:
    image = crowd.upstream.add(noise(SIZE))
    crowd.upstream.held.clear()
    await crowd.steer("PUT", f"/skerry/v1/cache/{image}/pin")
    await eventually(crowd.cache.fetches)
    del crowd.upstream.images[image]
    assert crowd.edge.site.edge is not None
    crowd.edge.site.edge.catalogue.invalidate(image)
    assert (await crowd.edge.call("GET", f"/v2/images/{image}"))[0] == 404
    await crowd.cache.sweep()
    assert (crowd.states(), crowd.files(), crowd.cache.fetches()) == ({}, (set(), set()), [])
