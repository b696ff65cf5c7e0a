"""A home that begins its records anew has others forget what it does not know, also when that is all."""

from functools import partial
from pathlib import Path

from skerry.core.feed.entry import Channel, Kind, Stream
from tests.functional.kin import Kin, kin
from tests.functional.sites import eventually
from tests.functional.test_feed_away import feed


async def test_streams_without_an_entry_are_begun_anew_and_sent_up_as_well(tmp_path: Path) -> None:
    async with kin(tmp_path, {"centre": None, "lyon": "centre"}) as sites:
        journal = feed(sites["lyon"]).journal
        await journal.put(Kind.IMAGE, "an image", {})
        await journal.remove(Kind.IMAGE, "an image")
        await eventually(partial(_stands, sites, Stream("lyon"), 1))

        epoch = await journal.begin_anew()

        for channel in Channel:
            await eventually(partial(_stands, sites, Stream("lyon", channel), epoch))


def _stands(sites: Kin, stream: Stream, epoch: int) -> bool:
    return feed(sites["centre"]).journal.standing(stream).epoch == epoch
