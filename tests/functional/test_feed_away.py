"""Sites that were away: cut off, late, restarted, or brought back from a backup."""

import shutil
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from skerry.api.context import Feed
from skerry.core.clock import SystemClock
from skerry.core.feed import lines
from skerry.core.feed.entry import Stream
from skerry.core.feed.journal import Trouble
from skerry.members import begin_anew
from skerry.sync import follower
from tests.functional.kin import FixedBelonging, Kin, kin
from tests.functional.sites import Api, eventually, noise, settings
from tests.functional.test_feed import arrives, disappears

CENTRE = Stream("centre")


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Kin]:
    async with kin(tmp_path, {"centre": None, "paris": "centre", "lyon": "paris"}) as sites:
        yield sites


def feed(site: Api) -> Feed:
    assert site.site.feed is not None
    return site.site.feed


def at(site: Api, stream: Stream) -> tuple[int, int]:
    """Where a stream stands at a site."""
    standing = feed(site).journal.standing(stream)
    return standing.epoch, standing.revision


async def caught_up(sites: Kin, *names: str) -> None:
    """Wait until these sites have all that the centre has written."""
    for name in names:
        await eventually(lambda: at(sites[name], CENTRE) == at(sites["centre"], CENTRE))  # noqa: B023


async def ids(site: Api) -> set[str]:
    return set(await site.site.records.ids())


async def create(site: Api, count: int) -> set[str]:
    """Many images, without a request for each."""
    return {(await site.create(name=f"image {number}"))["id"] for number in range(count)}


async def test_a_deleted_image_disappears_from_a_cut_off_edge_when_the_line_is_back_before_other_news(
    sites: Kin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PAGE", 3)
    doomed = await sites["centre"].create(noise(1000))
    await arrives(sites["lyon"], doomed["id"], status="active")
    assert await sites["lyon"].download(doomed["id"])
    sites.lines["lyon"].cut()
    new = await create(sites["centre"], 20)
    await sites["centre"].call("DELETE", f"/v2/images/{doomed['id']}")
    assert (await sites["lyon"].call("GET", f"/v2/images/{doomed['id']}/file"))[0] == 200

    after_each_page: list[set[str]] = []
    take = feed(sites["lyon"]).journal.take

    async def watched(*given: Any) -> Any:
        taken = await take(*given)
        after_each_page.append(await ids(sites["lyon"]))
        return taken

    monkeypatch.setattr(feed(sites["lyon"]).journal, "take", watched)
    await caught_up(sites, "paris")
    sites.lines["lyon"].restore()
    await disappears(sites["lyon"], doomed["id"])
    await eventually(lambda: after_each_page and after_each_page[-1] == new)

    assert len(after_each_page) >= 6
    on_the_line_already, *asked_for = after_each_page
    assert len(on_the_line_already) <= 3
    assert not any(doomed["id"] in page for page in asked_for)


async def test_what_was_cut_off_reads_many_changes_page_by_page(
    sites: Kin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PAGE", 7)
    sites.lines["paris"].cut()
    new = await create(sites["centre"], 50)
    for image_id in sorted(new)[:10]:
        await sites["centre"].call("DELETE", f"/v2/images/{image_id}")
    sites.lines["paris"].restore()
    await caught_up(sites, "paris", "lyon")
    assert await ids(sites["lyon"]) == await ids(sites["paris"]) == await ids(sites["centre"])


async def test_an_edge_that_was_away_for_longer_than_deletions_are_told_of_forgets_them_all_the_same(
    sites: Kin,
) -> None:
    stays, *gone = [await sites["centre"].create(noise(100)) for _ in range(4)]
    await caught_up(sites, "paris", "lyon")
    assert await sites["lyon"].download(gone[0]["id"])
    await sites.stop("lyon")
    for image in gone:
        await sites["centre"].call("DELETE", f"/v2/images/{image['id']}")
    await caught_up(sites, "paris")
    await feed(sites["centre"]).journal.prune(keep=-10)
    new = await sites["centre"].create(noise(100))
    await caught_up(sites, "paris")
    await feed(sites["paris"]).journal.prune(keep=-10)
    assert feed(sites["paris"]).journal.standing(CENTRE).horizon > 0

    await sites.start("lyon")

    await arrives(sites["lyon"], new["id"], status="active")
    assert await ids(sites["lyon"]) == {stays["id"], new["id"]}
    await eventually(lambda: gone[0]["id"] not in {c.image_id for c in sites["lyon"].site.copies.all()})


async def test_a_site_goes_on_where_it_was_after_a_restart_of_either_side(sites: Kin) -> None:
    data = noise(500_000)
    for name in ("lyon", "paris", "centre"):
        image = await sites["centre"].create(noise(10))
        await caught_up(sites, "paris", "lyon")
        await sites.stop(name)
        if name != "centre":
            image = await sites["centre"].create(data)
        await sites.start(name)
        for reader in ("paris", "lyon"):
            await arrives(sites[reader], image["id"], status="active")
    assert await ids(sites["lyon"]) == await ids(sites["centre"])
    image = await sites["lyon"].create(data)
    await arrives(sites["centre"], image["id"], status="active")


async def _backup(sites: Kin, name: str, to: Path) -> None:
    await sites.stop(name)
    shutil.copytree(sites.folder(name), to)
    await sites.start(name)


async def _bring_back(sites: Kin, name: str, backup: Path) -> None:
    await sites.stop(name)
    shutil.rmtree(sites.folder(name))
    shutil.copytree(backup, sites.folder(name))
    await sites.start(name)


def _troubled(site: Api, troubles: Sequence[Trouble]) -> bool:
    return feed(site).journal.standing(CENTRE).trouble in troubles


@pytest.mark.parametrize("writes", [0, 1, 5])
async def test_a_centre_brought_back_from_a_backup_is_noticed_deletes_nothing_and_waits_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    monkeypatch.setattr(follower, "_FIRST_REREAD", 0.3)
    async with kin(tmp_path, {"centre": None, "paris": "centre", "lyon": "paris"}) as sites:
        await _bring_back_and_begin_anew(sites, tmp_path, writes)


async def _bring_back_and_begin_anew(sites: Kin, tmp_path: Path, writes: int) -> None:
    old = await sites["centre"].create(noise(100))
    own = await sites["lyon"].create(noise(100))
    await arrives(sites["centre"], own["id"], status="active")
    await _backup(sites, "centre", tmp_path / "backup")
    newer = await sites["centre"].create(noise(100), visibility="public")
    await caught_up(sites, "paris", "lyon")

    await _bring_back(sites, "centre", tmp_path / "backup")
    others = await create(sites["centre"], writes)
    region = partial(_troubled, sites["paris"], (Trouble.OLDER, Trouble.MIXED))
    await eventually(region)

    assert await ids(sites["centre"]) == {old["id"], own["id"]} | others
    status, headers, _ = await sites["paris"].call("GET", f"/v2/images/{newer['id']}")
    assert status == 200
    assert "Skerry-Stale" in headers
    _, _, report = await sites["paris"].call("GET", "/skerry/v1/status")
    (stream,) = [one for one in report["feed"]["streams"] if one["stream"] == "centre"]
    assert stream["trouble"] in ("older", "mixed")
    assert stream["reason"]
    for name in ("paris", "lyon"):
        assert {old["id"], newer["id"], own["id"]} <= await ids(sites[name])

    await sites.stop("centre")
    config = settings(sites.folder("centre"))
    await begin_anew(config, SystemClock(), FixedBelonging("centre", sites.tree))
    await sites.start("centre")
    for name in ("paris", "lyon"):
        await disappears(sites[name], newer["id"])
        assert await ids(sites[name]) == {old["id"], own["id"]} | others
    status, headers, _ = await sites["paris"].call("GET", f"/v2/images/{old['id']}")
    assert status == 200
    assert "Skerry-Stale" not in headers


async def test_a_silent_upstream_is_said_in_the_answers_about_its_images_and_not_in_those_about_own_ones(
    tmp_path: Path,
) -> None:
    async with kin(tmp_path, {"centre": None, "lyon": "centre"}, silent_after=0.3) as sites:
        theirs = await sites["centre"].create(noise(10), visibility="public")
        await arrives(sites["lyon"], theirs["id"], status="active")
        own = await sites["lyon"].create(noise(10))
        await sites.stop("centre")

        async def stale(path: str) -> bool:
            return "Skerry-Stale" in (await sites["lyon"].call("GET", path))[1]

        while not await stale(f"/v2/images/{theirs['id']}"):
            pass
        assert await stale("/v2/images")
        assert not await stale(f"/v2/images/{own['id']}")
