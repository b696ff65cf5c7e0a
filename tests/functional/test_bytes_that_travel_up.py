"""Bytes of images that were born at an edge come to the sites above when the line is there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skerry.core.copy import CopyState
from skerry.core.units import Rate
from skerry.lab.shape import Shape
from tests.functional.kin import Kin, kin
from tests.functional.sites import Api, eventually, noise
from tests.functional.test_feed import arrives, disappears


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Kin]:
    async with kin(tmp_path, {"centre": None, "paris": "centre", "lyon": "paris"}) as sites:
        yield sites


def has(site: Api, image_id: str) -> bool:
    copy = site.site.copies.get(image_id)
    return copy is not None and copy.state is CopyState.COMPLETE


def has_some(site: Api, image_id: str) -> bool:
    return site.site.store.partial(image_id).size() > 0


async def test_an_image_created_at_a_cut_off_edge_is_usable_there_and_comes_up_when_the_line_is_back(
    sites: Kin,
) -> None:
    sites.lines["lyon"].cut()
    data = noise(3_000_000)
    image = await sites["lyon"].create(data, name="snapshot")
    assert await sites["lyon"].download(image["id"]) == data
    assert (await sites["paris"].call("GET", f"/v2/images/{image['id']}"))[0] == 404

    sites.lines["lyon"].restore()

    for name in ("paris", "centre"):
        assert await arrives(sites[name], image["id"], status="active") == image
        await eventually(lambda: has(sites[name], image["id"]))  # noqa: B023
        assert await sites[name].download(image["id"]) == data


async def test_the_copy_at_the_edge_and_at_the_centre_are_the_image_itself_and_the_regions_is_not(
    sites: Kin,
) -> None:
    image = await sites["lyon"].create(noise(1000))
    await eventually(lambda: has(sites["centre"], image["id"]))
    cached = {name: sites[name].site.copies.get(image["id"]) for name in ("centre", "paris", "lyon")}
    assert {name: copy.cached for name, copy in cached.items() if copy} == {
        "centre": False,
        "paris": True,
        "lyon": False,
    }
    assert (await sites["lyon"].call("DELETE", f"/v2/cache/{image['id']}"))[0] == 204
    assert has(sites["lyon"], image["id"])


async def test_bytes_go_on_where_they_were_when_the_line_is_cut_in_between(sites: Kin) -> None:
    sites.lines["lyon"].reshape(Shape(rate=Rate(20_000_000)))
    data = noise(2_000_000)
    image = await sites["lyon"].create(data)
    await eventually(lambda: has_some(sites["paris"], image["id"]))
    sites.lines["lyon"].cut()
    await asyncio.sleep(0)
    assert not has(sites["paris"], image["id"])
    sites.lines["lyon"].restore()
    await eventually(lambda: has(sites["centre"], image["id"]))
    assert await sites["centre"].download(image["id"]) == data


async def test_until_the_bytes_are_there_the_centre_says_that_they_will_come(sites: Kin) -> None:
    sites.lines["lyon"].reshape(Shape(rate=Rate(2_000_000)))
    image = await sites["lyon"].create(noise(2_000_000))
    await arrives(sites["centre"], image["id"], status="active")
    status, headers, _ = await sites["centre"].call("GET", f"/v2/images/{image['id']}/file")
    assert (status, headers["Retry-After"]) == (503, "30")


async def test_bytes_that_are_not_what_the_record_says_are_not_kept(sites: Kin) -> None:
    sites.lines["lyon"].cut()
    image = await sites["lyon"].create(noise(1000))
    path = sites["lyon"].site.store.path(image["id"])
    path.write_bytes(noise(1000))
    sites.lines["lyon"].restore()
    await arrives(sites["paris"], image["id"], status="active")
    edge = sites["lyon"].site
    assert edge.edge is not None
    await eventually(lambda: sites["paris"].site.feed.deposits.refused)  # type: ignore[union-attr]
    assert not has(sites["paris"], image["id"])
    await eventually(lambda: not has_some(sites["paris"], image["id"]))


async def test_when_the_edge_deletes_its_image_the_bytes_above_go_with_it(sites: Kin) -> None:
    image = await sites["lyon"].create(noise(1000))
    await eventually(lambda: has(sites["centre"], image["id"]))
    assert (await sites["lyon"].call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
    for name in ("paris", "centre"):
        await disappears(sites[name], image["id"])
        await eventually(lambda: not list(sites[name].site.store.ids()))  # noqa: B023
        assert sites[name].site.copies.all() == []


async def test_a_site_sends_bytes_of_its_own_part_of_the_tree_alone(sites: Kin) -> None:
    own = await sites["lyon"].create(noise(10))
    image = await sites["centre"].create(noise(10))
    await eventually(lambda: has(sites["centre"], own["id"]))
    lyon = {"X-Test-Site": "lyon"}
    for image_id, headers, expected in (
        (own["id"], lyon, 204),
        (image["id"], lyon, 404),
        (own["id"], {"X-Test-Site": "brest"}, 404),
        (own["id"], {}, 403),
    ):
        status, _, _ = await sites["centre"].call("HEAD", f"/skerry/v1/copies/{image_id}", headers=headers)
        assert status == expected
