"""Glance's cache API at an edge: what is cached, queued, and how the operator steers it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from skerry.lab.link import Link
from tests.functional.sites import Api, line_to, noise, running, settings

SIZE = 100_000
CUT = {"timeout": "300ms"}


@dataclass(frozen=True, slots=True)
class Place:
    """A centre, an edge, and the line between them."""

    centre: Api
    edge: Api
    link: Link

    async def fill(self, image_id: str) -> None:
        """Download an image at the edge, and return when its copy is whole there."""
        await self.edge.download(image_id)
        fetches = [task for task in asyncio.all_tasks() if task.get_name() == f"fetch-{image_id}"]
        await asyncio.gather(*fetches)

    async def cache(self) -> tuple[list[str], list[str]]:
        """Ids of cached and of queued images."""
        status, _, body = await self.edge.call("GET", "/v2/cache")
        assert status == 200, body
        return [entry["image_id"] for entry in body["cached_images"]], body["queued_images"]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        centre = await stack.enter_async_context(running(settings(tmp_path / "centre")))
        link, url = await stack.enter_async_context(line_to(centre.url))
        config = settings(tmp_path / "edge", upstream={"url": url, **CUT})
        yield Place(centre, await stack.enter_async_context(running(config)), link)


async def test_a_downloaded_image_is_listed_with_its_uses(place: Place) -> None:
    image = await place.centre.create(noise(SIZE))
    for _ in range(2):
        await place.fill(image["id"])
    _, _, body = await place.edge.call("GET", "/v2/cache")
    [entry] = body["cached_images"]
    assert (entry["image_id"], entry["size"], body["queued_images"]) == (image["id"], SIZE, [])
    assert entry["hits"] >= 1
    assert entry["last_accessed"] >= entry["last_modified"] > 0


async def test_a_copy_is_deleted_and_the_image_stays(place: Place) -> None:
    image = await place.centre.create(noise(SIZE))
    await place.fill(image["id"])
    for _ in range(2):
        assert (await place.edge.call("DELETE", f"/v2/cache/{image['id']}"))[0] == 204
        assert await place.cache() == ([], [])
    assert (await place.edge.show(image["id"]))["status"] == "active"


async def test_an_image_is_queued_while_the_line_is_cut_and_the_queue_cleared(place: Place) -> None:
    here, queued = [await place.centre.create(noise(SIZE)) for _ in range(2)]
    await place.fill(here["id"])
    await place.edge.show(queued["id"])
    place.link.cut()
    status, _, _ = await place.edge.call("GET", f"/v2/images/{'0' * 8}-0000-4000-8000-{'0' * 12}")
    assert status == 503
    assert (await place.edge.call("PUT", f"/v2/cache/{queued['id']}"))[0] == 202
    assert await place.cache() == ([here["id"]], [queued["id"]])
    for target, left in (("queue", [here["id"]]), ("cache", [])):
        headers = {"x-image-cache-clear-target": target}
        assert (await place.edge.call("DELETE", "/v2/cache", headers=headers))[0] == 204
        assert await place.cache() == (left, [])


async def test_only_active_images_are_queued(place: Place) -> None:
    image = await place.centre.create()
    assert (await place.edge.call("PUT", f"/v2/cache/{image['id']}"))[0] == 400
    assert (await place.edge.call("PUT", "/v2/cache/nothing"))[0] == 404
    assert (await place.edge.call("DELETE", "/v2/cache/nothing"))[0] == 404


async def test_a_cache_within_its_limit_has_nothing_to_prune_or_clean(place: Place) -> None:
    image = await place.centre.create(noise(SIZE))
    await place.fill(image["id"])
    status, _, body = await place.edge.call("POST", "/v2/cache/prune")
    assert (status, body) == (200, {"total_files_pruned": 0, "total_bytes_pruned": 0})
    assert (await place.edge.call("POST", "/v2/cache/clean"))[0] == 200
    assert await place.cache() == ([image["id"]], [])


async def test_what_makes_no_sense_is_refused(place: Place) -> None:
    headers = {"x-image-cache-clear-target": "everything"}
    assert (await place.edge.call("DELETE", "/v2/cache", headers=headers))[0] == 400
    assert (await place.edge.call("GET", "/v2/cache/nodes/x"))[0] == 409


async def test_an_edge_has_the_version_of_the_api_that_has_a_cache(place: Place) -> None:
    _, _, body = await place.edge.call("GET", "/versions")
    assert (body["versions"][0]["id"], body["versions"][0]["status"]) == ("v2.18", "CURRENT")
    assert "v2.14" in [version["id"] for version in body["versions"]]
