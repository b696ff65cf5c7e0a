"""The bytes of an image at an edge: fetched on first use, once for all, verified, kept within a limit."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skerry.config import Config
from skerry.transfer.fetch import HELD_BACK
from tests.functional.sites import Api, eventually, noise, running, settings
from tests.simulators.upstream import Upstream

SIZE = 3 << 20


@dataclass
class Place:
    """An edge over an upstream that can be made to fail."""

    upstream: Upstream
    config: Config
    edge: Api

    @property
    def cache(self) -> Any:
        """The edge's cache."""
        assert self.edge.site.edge is not None
        return self.edge.site.edge.cache

    async def settled(self) -> None:
        """Return when nothing is being fetched."""
        await eventually(lambda: not self.cache.fetches())


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    upstream = Upstream()
    async with upstream.listening() as url:
        config = settings(
            tmp_path / "edge",
            upstream={"url": url, "timeout": "500ms", "stall": 2},
            cache={"size": 3 * SIZE},
        )
        async with running(config) as edge:
            yield Place(upstream, config, edge)


async def test_clients_that_ask_at_the_same_time_share_one_fetch(place: Place) -> None:
    data = noise(SIZE)
    image = place.upstream.add(data)
    place.upstream.held.clear()
    clients = [asyncio.create_task(place.edge.download(image)) for _ in range(5)]
    await eventually(place.cache.fetches)
    place.upstream.held.set()
    assert await asyncio.gather(*clients) == [data] * 5
    assert len(place.upstream.downloads()) == 1


async def test_bytes_are_handed_on_while_they_arrive_but_the_last_ones_only_when_verified(
    place: Place,
) -> None:
    data = noise(SIZE)
    image = place.upstream.add(data)
    place.upstream.held.clear()
    async with place.edge.session.get(f"{place.edge.url}/v2/images/{image}/file") as response:
        first = await response.content.readexactly(SIZE // 2)
        assert first == data[: SIZE // 2]
        place.upstream.held.set()
        assert first + await response.read() == data


async def test_a_client_that_goes_away_does_not_end_the_fetch(place: Place) -> None:
    image = place.upstream.add(noise(SIZE))
    place.upstream.held.clear()
    async with place.edge.session.get(f"{place.edge.url}/v2/images/{image}/file") as response:
        await response.content.readexactly(1000)
        response.close()
    place.upstream.held.set()
    await place.settled()
    assert [copy.image_id for copy in place.cache.cached()] == [image]


async def test_a_fetch_that_breaks_goes_on_from_where_it_was_by_range(place: Place) -> None:
    data = noise(SIZE)
    image = place.upstream.add(data)
    place.upstream.break_after = 1_000_000
    assert await place.edge.download(image) == data
    assert len(place.upstream.downloads()) > 2
    assert place.upstream.sent < SIZE * 1.5


async def test_a_fetch_goes_on_where_upstream_knows_no_ranges(place: Place) -> None:
    data = noise(SIZE)
    image = place.upstream.add(data)
    place.upstream.ranges = False
    place.upstream.break_after = 2_000_000
    client = asyncio.create_task(place.edge.download(image))
    await eventually(lambda: len(place.upstream.downloads()) >= 2)
    place.upstream.break_after = None
    assert await client == data


async def test_wrong_bytes_are_never_a_complete_answer_and_are_fetched_anew(place: Place) -> None:
    data = noise(SIZE)
    image = place.upstream.add(data)
    place.upstream.tamper = 1
    with pytest.raises(aiohttp.ClientPayloadError):
        await place.edge.download(image)
    assert await place.edge.download(image) == data


async def test_an_upstream_that_always_lies_fills_no_cache(place: Place) -> None:
    image = place.upstream.add(noise(SIZE))
    place.upstream.tamper = 100
    with pytest.raises(aiohttp.ClientPayloadError):
        await place.edge.download(image)
    await place.settled()
    assert place.cache.cached() == []
    assert list(place.edge.site.store.ids()) == []
    assert list(place.edge.site.store.partials()) == []


@pytest.mark.parametrize("claimed", [SIZE - 1, SIZE + 1])
async def test_a_record_that_lies_about_the_size_fills_no_cache(place: Place, claimed: int) -> None:
    image = place.upstream.add(noise(SIZE), size=claimed)
    status, _, body = await place.edge.call("GET", f"/v2/images/{image}/file")
    assert (status, b"its record says" in body) == (502, True)
    await place.settled()
    assert place.cache.cached() == []


async def test_a_server_error_upstream_is_tried_again(place: Place) -> None:
    data = noise(1000)
    image = place.upstream.add(data)
    place.upstream.failing = 2
    assert await place.edge.download(image) == data


async def test_a_range_of_an_image_that_is_not_here_yet_is_served_as_it_arrives(place: Place) -> None:
    data = noise(SIZE)
    image = place.upstream.add(data)
    place.upstream.held.clear()
    headers = {"Range": "bytes=1000-1999"}
    status, got, body = await place.edge.call("GET", f"/v2/images/{image}/file", headers=headers)
    assert (status, got["Content-Range"], body) == (206, f"bytes 1000-1999/{SIZE}", data[1000:2000])
    place.upstream.held.set()
    await place.settled()
    headers = {"Range": f"bytes=-{HELD_BACK}"}
    status, _, body = await place.edge.call("GET", f"/v2/images/{image}/file", headers=headers)
    assert (status, body) == (206, data[-HELD_BACK:])


async def test_the_least_recently_used_makes_room_and_what_is_pinned_stays(place: Place) -> None:
    pinned, old, middle, new = (place.upstream.add(noise(SIZE)) for _ in range(4))
    for image in (pinned, old, middle):
        await place.edge.download(image)
        await place.settled()
    assert (await place.edge.call("PUT", f"/skerry/v1/cache/{pinned}/pin"))[0] == 204
    await place.edge.download(new)
    await place.settled()
    assert {copy.image_id for copy in place.cache.cached()} == {pinned, middle, new}
    assert set(place.edge.site.store.ids()) == {pinned, middle, new}


async def test_an_image_for_which_there_is_no_room_is_refused_with_the_remedy(place: Place) -> None:
    image = place.upstream.add(noise(10), size=4 * SIZE)
    status, _, body = await place.edge.call("GET", f"/v2/images/{image}/file")
    assert status == 507
    assert b"[cache] size" in body


async def test_a_fetch_goes_on_after_the_site_was_stopped_in_the_middle(place: Place, tmp_path: Path) -> None:
    data = noise(SIZE)
    image = place.upstream.add(data)
    place.upstream.held.clear()
    config = settings(tmp_path / "second", upstream={"url": place.config.upstream.url, "stall": 2})
    async with (
        running(config) as edge,
        edge.session.get(f"{edge.url}/v2/images/{image}/file") as response,
    ):
        await response.content.readexactly(SIZE // 2)
        response.close()
    place.upstream.held.set()
    async with running(config) as edge:
        assert await edge.download(image) == data
    assert place.upstream.downloads()[-1].startswith("bytes=")


async def test_a_copy_whose_file_was_deleted_or_cut_by_hand_is_fetched_again(place: Place) -> None:
    data = noise(SIZE)
    image = place.upstream.add(data)
    await place.edge.download(image)
    await place.settled()
    path = place.edge.site.store.path(image)
    path.unlink()
    assert await place.edge.download(image) == data
    await place.settled()
    with path.open("r+b") as file:
        file.truncate(1000)
    assert await place.edge.download(image) == data


async def test_an_image_can_be_queued_and_arrives_by_itself(place: Place) -> None:
    image = place.upstream.add(noise(SIZE))
    assert (await place.edge.call("PUT", f"/v2/cache/{image}"))[0] == 202
    await eventually(place.cache.cached)
    _, _, listing = await place.edge.call("GET", "/v2/cache")
    assert [one["image_id"] for one in listing["cached_images"]] == [image]
    assert listing["queued_images"] == []
    assert (await place.edge.call("DELETE", f"/v2/cache/{image}"))[0] == 204
    assert place.cache.cached() == []
    assert list(place.edge.site.store.ids()) == []
