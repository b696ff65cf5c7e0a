"""What a site that has joined others tells Prometheus of its records and of its copies."""

from collections.abc import AsyncIterator
from contextlib import suppress
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from skerry.api.site.metrics_placing import of_placing
from skerry.core.errors import FeedRefused
from skerry.core.feed.entry import Channel, Kind, Stream
from skerry.core.feed.journal import Page, Place
from skerry.core.placement.actions import Cause
from skerry.core.placement.plan import Hold, Plan
from skerry.core.signing import SigningKey
from skerry.sync.follower import Follower
from tests.functional.federation.cast import joined, member
from tests.functional.people import Peopled
from tests.functional.sites import Api, eventually
from tests.functional.test_metrics import scrape
from tests.unit.feed.ledger import Home


@pytest.fixture
async def lyon(central: Peopled, tmp_path: Path) -> AsyncIterator[Api]:
    async with member(await joined(central, tmp_path / "lyon", "lyon")) as edge:
        await eventually(lambda: follower(edge).contact.heard_at is not None)
        yield edge


def follower(edge: Api) -> Follower:
    assert edge.site.feed is not None
    assert edge.site.feed.follower is not None
    return edge.site.feed.follower


async def test_a_member_that_follows_says_how_old_its_word_is_and_that_nothing_is_lacking(lyon: Api) -> None:
    numbers = await scrape(lyon)
    assert 0 <= numbers("skerry_feed_contact_age_seconds") < 30
    assert 0 <= numbers("skerry_feed_lag_seconds") < 30
    assert numbers("skerry_feed_behind_entries") == 0
    assert (numbers("skerry_feed_streams", trouble="none"), numbers("skerry_feed_refused_streams")) == (1, 0)


async def test_the_centre_counts_who_waits_for_news(central: Peopled, lyon: Api) -> None:
    assert central.site.feed is not None
    source = central.site.feed.source
    await eventually(lambda: source.waiting == 1)


async def test_a_stream_that_somebody_forges_is_one_in_trouble(lyon: Api) -> None:
    assert lyon.site.feed is not None
    forged, known = Home("brest"), SigningKey.generate().public
    forged.write("one", {"id": "one"})
    page: Page = forged.give(Place())
    with suppress(FeedRefused):
        await lyon.site.feed.journal.take(page, (known,), lambda connection, changes: None)
    numbers = await scrape(lyon)
    assert numbers("skerry_feed_streams", trouble="forged") == 1


async def test_what_the_site_above_has_not_confirmed_is_unsent(
    lyon: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lyon.site.feed is not None
    following, journal = follower(lyon), lyon.site.feed.journal
    monkeypatch.setattr(following, "_confirmed", {Stream("lyon", Channel.COPIES): Place(1, 1)})
    before = following.unsent
    await journal.put(Kind.COPY, "one", {}, channel=Channel.RECORDS)
    monkeypatch.setattr(following, "_confirmed", {})
    assert following.unsent == before + 1
    assert journal.standing(Stream("lyon")).revision == 1


async def test_deletions_that_wait_for_a_person_are_counted(lyon: Api) -> None:
    placing = lyon.site.placing
    assert placing is not None
    assert placing.reconciler is not None
    assert (await scrape(lyon))("skerry_placement_held_deletions") == 0
    resting = copy(placing.reconciler)
    deletions = frozenset({(Cause.KEPT, "one"), (Cause.KEPT, "two")})
    resting.plan = Plan((), hold=Hold("lyon", "too many", 0.0, 3, 2, deletions))
    said = of_placing(replace(lyon.site, placing=replace(placing, reconciler=resting)), ())
    samples = {sample.name: sample.value for family in said for sample in family.samples}
    assert samples["skerry_placement_held_deletions"] == 2
