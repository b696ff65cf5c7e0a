"""A site that writes in its own records about images of other homes."""

from functools import partial
from pathlib import Path

from skerry.core.feed.entry import Kind, Stream
from tests.functional.kin import Kin, kin
from tests.functional.sites import eventually, noise
from tests.functional.test_feed import arrives
from tests.functional.test_feed_away import feed


async def test_a_site_cannot_have_others_remove_an_image_of_another_home(tmp_path: Path) -> None:
    async with kin(tmp_path, {"centre": None, "lyon": "centre", "brest": "centre"}) as sites:
        data = noise(10_000)
        image = await sites["centre"].create(data, visibility="public")
        for name in ("lyon", "brest"):
            await arrives(sites[name], image["id"], status="active")
        assert await sites["brest"].download(image["id"]) == data

        usurper = feed(sites["lyon"]).journal
        await usurper.put(Kind.IMAGE, image["id"], {})
        await usurper.remove(Kind.IMAGE, image["id"])
        for name in ("centre", "brest"):
            await eventually(partial(_has_heard, sites, name))

        for name in ("centre", "brest"):
            assert await sites[name].download(image["id"]) == data


def _has_heard(sites: Kin, name: str) -> bool:
    return feed(sites[name]).journal.standing(Stream("lyon")).revision == 2
