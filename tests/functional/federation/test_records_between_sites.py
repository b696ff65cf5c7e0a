"""Records and bytes between sites that have joined: over TLS, each known by its certificate."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from skerry.core.copy import CopyState
from skerry.core.feed import lines
from skerry.core.feed.entry import Stream
from skerry.core.feed.journal import Place
from tests.functional.federation.cast import LISTEN, centre, joined, member
from tests.functional.people import Peopled
from tests.functional.sites import Api, eventually, noise
from tests.functional.test_feed import arrives, disappears


@dataclass
class Three:
    """A centre, a region that has joined it, and an edge that has joined below the region."""

    centre: Peopled
    region: Api
    edge: Api


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    async with centre(tmp_path / "centre") as top:
        config = await joined(top, tmp_path / "paris", "paris", sections={"sites": LISTEN})
        async with member(config) as region:
            assert region.site.renewal is not None
            assert region.site.federation is not None
            known = region.site.federation.sites
            await eventually(lambda: "paris" in known.all())
            await region.site.renewal.tend()  # says where it listens, as housekeeping would
            below = await joined(top, tmp_path / "lyon", "lyon", upstream="paris")
            async with member(below) as edge:
                yield Three(top, region, edge)


async def upload(at: Peopled, data: bytes, **attributes: str) -> str:
    image = await at.alice.create(disk_format="raw", container_format="bare", **attributes)
    headers = {"Content-Type": "application/octet-stream"}
    path = f"/v2/images/{image['id']}/file"
    assert (await at.alice.send("PUT", path, data=data, headers=headers)).status == 204
    return str(image["id"])


async def test_an_image_of_the_centre_is_at_an_edge_below_a_region_with_its_bytes(three: Three) -> None:
    data = noise(200_000)
    image_id = await upload(three.centre, data, name="one")
    for site in (three.region, three.edge):
        await arrives(site, image_id, status="active", owner="alice")
    assert await three.edge.download(image_id) == data

    assert (await three.centre.alice.send("DELETE", f"/v2/images/{image_id}")).status == 204
    for site in (three.region, three.edge):
        await disappears(site, image_id)
        await eventually(lambda: not site.site.copies.all())  # noqa: B023


async def test_an_image_of_an_edge_comes_to_the_centre_with_its_bytes(three: Three) -> None:
    data = noise(200_000)
    image = await three.edge.create(data, name="snapshot", visibility="public")

    def there() -> bool:
        copy = three.centre.site.copies.get(image["id"])
        return copy is not None and copy.state is CopyState.COMPLETE

    await eventually(there)
    answer = await three.centre.bob.get(f"/v2/images/{image['id']}/file")
    assert (answer.status, answer.body) == (200, data)


async def test_a_site_that_was_revoked_hears_nothing_more(three: Three) -> None:
    first = await upload(three.centre, noise(10))
    await arrives(three.edge, first)
    answer = await three.centre.admin.send("PATCH", "/skerry/v1/sites/paris", {"state": "revoked"})
    assert answer.status == 200
    second = await upload(three.centre, noise(10))

    feed = three.region.site.feed
    assert feed is not None
    assert feed.follower is not None
    await eventually(lambda: "revoked" in feed.follower.contact.trouble)  # type: ignore[union-attr]

    for site in (three.region, three.edge):
        assert (await site.call("GET", f"/v2/images/{first}"))[0] == 200
        assert (await site.call("GET", f"/v2/images/{second}"))[0] == 404


async def test_a_site_with_hundreds_of_others_to_follow_can_say_where_it_stands(three: Three) -> None:
    edge = three.edge.site
    assert edge.edge is not None
    places = {Stream(f"a-site-with-a-long-name-{n:06}"): Place(1_700_000_000, n, as_of=1) for n in range(900)}
    after = lines.places_to_query(places)
    assert len(after) > 40_000
    async with edge.edge.upstream.session.get(
        edge.edge.upstream.url + lines.FEED, params={"after": after, "wait": "0"}
    ) as response:
        assert response.status == 200
