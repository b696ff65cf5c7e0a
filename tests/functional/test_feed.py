"""Records travel by themselves between a centre, a region and edges."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.functional.kin import Kin, kin
from tests.functional.sites import Api, noise


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Kin]:
    async with kin(
        tmp_path, {"centre": None, "paris": "centre", "lyon": "paris", "brest": "centre"}
    ) as sites:
        yield sites


async def arrives(site: Api, image_id: str, *, seconds: float = 20, **attributes: Any) -> dict[str, Any]:
    """The record, as soon as a site has it so."""
    return await _until(
        site, image_id, lambda image: all(image.get(k) == v for k, v in attributes.items()), seconds
    )


async def disappears(site: Api, image_id: str) -> None:
    """Wait until a site knows an image no more."""
    async with asyncio.timeout(20):
        while (await site.call("GET", f"/v2/images/{image_id}"))[0] != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _until(
    site: Api, image_id: str, holds: Callable[[dict[str, Any]], bool], seconds: float
) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while True:
            status, _, image = await site.call("GET", f"/v2/images/{image_id}")
            if status == 200 and holds(image):
                assert isinstance(image, dict)
                return image
            await asyncio.sleep(0.01)


async def test_a_change_at_the_centre_shows_at_an_edge_and_below_a_region_without_anybody_asking(
    sites: Kin,
) -> None:
    image = await sites["centre"].create(noise(1000), name="one", visibility="public")
    for name in ("paris", "lyon", "brest"):
        assert await arrives(sites[name], image["id"], status="active") == image

    assert await sites["centre"].patch(image["id"], {"op": "replace", "path": "/name", "value": "two"}) == 200
    for name in ("paris", "lyon", "brest"):
        await arrives(sites[name], image["id"], name="two")
    assert (await sites["centre"].call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
    for name in ("paris", "lyon", "brest"):
        await disappears(sites[name], image["id"])


async def test_bytes_of_an_image_come_through_the_region_when_they_are_asked_for(sites: Kin) -> None:
    data = noise(300_000)
    image = await sites["centre"].create(data)
    await arrives(sites["lyon"], image["id"], status="active")
    assert await sites["lyon"].download(image["id"]) == data


async def test_an_image_created_at_an_edge_is_its_own_and_shows_everywhere(sites: Kin) -> None:
    data = noise(1000)
    image = await sites["lyon"].create(data, name="snapshot")
    assert await sites["lyon"].download(image["id"]) == data
    for name in ("paris", "centre", "brest"):
        assert await arrives(sites[name], image["id"], status="active") == image


async def test_a_write_on_an_image_of_the_centre_is_passed_on_and_seen_at_once(sites: Kin) -> None:
    image = await sites["centre"].create(noise(10))
    await arrives(sites["lyon"], image["id"], status="active")
    assert await sites["lyon"].patch(image["id"], {"op": "replace", "path": "/name", "value": "two"}) == 200
    assert (await sites["lyon"].show(image["id"]))["name"] == "two"
    assert (await sites["centre"].show(image["id"]))["name"] == "two"
    assert (await sites["lyon"].call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
    assert (await sites["lyon"].call("GET", f"/v2/images/{image['id']}"))[0] == 404


async def test_an_image_of_an_edge_is_changed_there_alone(sites: Kin) -> None:
    image = await sites["lyon"].create(noise(10))
    rename = {"op": "replace", "path": "/name", "value": "two"}
    for name in ("paris", "centre", "brest"):
        await arrives(sites[name], image["id"], status="active")
        assert await sites[name].patch(image["id"], rename) == 409
    assert await sites["lyon"].patch(image["id"], rename) == 200
    for name in ("paris", "centre", "brest"):
        await arrives(sites[name], image["id"], name="two")


async def test_a_list_at_an_edge_shows_the_images_of_all_homes_without_a_word_over_the_line(
    sites: Kin,
) -> None:
    one = await sites["centre"].create(name="centre's", visibility="public")
    two = await sites["brest"].create(name="brest's", visibility="public")
    for image in (one, two):
        await arrives(sites["lyon"], image["id"])
    sites.lines["lyon"].cut()
    status, headers, page = await sites["lyon"].call("GET", "/v2/images?sort=name:asc")
    assert status == 200
    assert [image["name"] for image in page["images"]] == ["brest's", "centre's"]
    assert "Skerry-Stale" not in headers
