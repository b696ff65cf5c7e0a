"""Bytes of images that are no more go, also when they could not at once, and never on a guess."""

from pathlib import Path

import pytest

from skerry.core.copy import Copy, CopyState
from tests.functional.kin import kin
from tests.functional.sites import noise
from tests.functional.test_feed import arrives
from tests.functional.test_feed_away import feed


async def test_bytes_without_a_record_go_once_everything_has_been_read(tmp_path: Path) -> None:
    async with kin(tmp_path, {"centre": None, "lyon": "centre"}) as sites:
        image = await sites["centre"].create(noise(10))
        await arrives(sites["lyon"], image["id"], status="active")
        await sites["lyon"].download(image["id"])
        for name in ("centre", "lyon"):
            site = sites[name].site
            await site.copies.put(Copy("11111111-1111-1111-1111-111111111111", CopyState.COMPLETE, size=1))
            assert feed(sites[name]).source.complete
            await feed(sites[name]).source.sweep(site.copies)
            assert [copy.image_id for copy in site.copies.all()] == [image["id"]]


async def test_a_site_that_has_heard_of_nothing_yet_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kin(tmp_path, {"centre": None}) as sites:
        site, source = sites["centre"].site, feed(sites["centre"]).source
        monkeypatch.setattr(source, "_follows", True)
        await site.copies.put(Copy("a", CopyState.COMPLETE, size=1))
        assert not source.complete
        await source.sweep(site.copies)
        assert len(site.copies.all()) == 1
