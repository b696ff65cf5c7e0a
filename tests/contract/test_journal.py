"""What a journal promises; the other end of each line is the feed in memory of `tests/unit/feed/ledger`."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.core.errors import FeedRefused, TooLarge
from skerry.core.feed import lines
from skerry.core.feed.entry import LONGEST, Channel, Entry, Kind, Stream, sign_entry
from skerry.core.feed.follow import Change
from skerry.core.feed.journal import Page, Place, Row, Trouble
from skerry.core.signing import SigningKey
from tests.simulators.clock import ManualClock
from tests.unit.feed.ledger import Follower, Holder, Home

T = TypeVar("T")

KEY = SigningKey.generate()


@pytest.fixture
async def journal(database: Database, clock: ManualClock) -> Journal:
    return await opened(database, clock)


async def opened(database: Database, clock: ManualClock) -> Journal:
    """The journal of a site that has just started."""
    journal = Journal(database, "lyon", KEY, clock)
    await journal.load()
    return journal


class Reader(Follower):
    """Follows what the journal of lyon gives."""

    def __init__(self, stream: Stream, keys: tuple[Any, ...]) -> None:
        super().__init__(Home(stream.home))
        self.standing = replace(self.standing, stream=stream)
        self.keys = keys

    async def read(self, journal: Journal, may_read: Callable[[Row], bool] = lambda row: True) -> int:
        """All there is; returns how many pages that took."""
        pages = 0
        while True:
            part = await journal.page(self.standing.stream, self.place)
            (page,) = lines.decode(part.encode(may_read).splitlines())
            self.take(page)
            pages += 1
            if not page.more:
                return pages


@pytest.fixture
def reader(journal: Journal) -> Reader:
    return Reader(journal.own(), (KEY.public,))


class Taker:
    """Has a journal take what a home, or another follower, gives."""

    def __init__(self, journal: Journal, home: Home) -> None:
        self.journal = journal
        self.home = home
        self.documents: dict[str, Any] = {}

    async def take(self, page: Page) -> None:
        seen: list[Change] = []
        await self.journal.take(
            page, (self.home.key.public,), lambda connection, changes: seen.extend(changes)
        )
        for change in seen:
            if change.entry is None:
                self.documents.pop(change.id, None)
            else:
                self.documents[change.id] = change.entry.body

    async def follow(self, source: Holder, *, most: int = 500) -> None:
        while True:
            page = source.give(self.journal.standing(self.home.standing.stream).place, most=most)
            await self.take(page)
            if not page.more:
                return


@pytest.fixture
def home() -> Home:
    result = Home("centre")
    for number in range(5):
        result.write(f"image-{number}", {"number": number})
    return result


@pytest.fixture
def taker(journal: Journal, home: Home) -> Taker:
    return Taker(journal, home)


def nothing(connection: Connection, changes: Sequence[Change]) -> None:
    pass


async def test_what_is_entered_is_given_to_those_who_follow(journal: Journal, reader: Reader) -> None:
    await journal.put(Kind.SITE, "lyon", {"labels": {"tier": "far"}})
    await journal.put(Kind.SITE, "brest", {"labels": {}})
    await reader.read(journal)
    assert reader.documents() == {"lyon": {"labels": {"tier": "far"}}, "brest": {"labels": {}}}

    await journal.put(Kind.SITE, "brest", {"labels": {"x": "y"}})
    assert await journal.remove(Kind.SITE, "lyon")
    await reader.read(journal)

    assert reader.documents() == {"brest": {"labels": {"x": "y"}}}
    assert reader.standing.digest == journal.standing(journal.own()).digest
    assert await journal.objects(Kind.SITE) == reader.documents()
    assert await journal.objects(Kind.PLACEMENT) == {}


async def test_what_does_not_exist_cannot_be_removed(journal: Journal) -> None:
    assert not await journal.remove(Kind.SITE, "nobody")
    await journal.put(Kind.SITE, "lyon", {})
    assert await journal.remove(Kind.SITE, "lyon")
    assert not await journal.remove(Kind.SITE, "lyon")


async def test_a_journal_goes_on_where_it_stood_after_a_restart(
    journal: Journal, database: Database, clock: ManualClock, reader: Reader
) -> None:
    await journal.put(Kind.SITE, "lyon", {})
    await reader.read(journal)

    again = await opened(database, clock)
    assert again.standing(again.own()).place == journal.standing(journal.own()).place
    await again.put(Kind.SITE, "brest", {})
    await reader.read(again)

    assert reader.documents() == {"lyon": {}, "brest": {}}


async def test_a_long_stream_is_given_page_by_page_and_what_is_urgent_first(
    journal: Journal, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PAGE", 4)
    await journal.put(Kind.SITE, "doomed", {})
    await reader.read(journal)
    for number in range(10):
        await journal.put(Kind.SITE, f"site-{number}", {"number": number})
    await journal.remove(Kind.SITE, "doomed")

    part = await journal.page(journal.own(), reader.place)
    reader.take(part.page(lambda row: True))
    assert set(reader.documents()) == {f"site-{number}" for number in range(4)}

    assert await reader.read(journal) == 2
    assert len(reader.documents()) == 10


async def test_a_page_is_bounded_in_bytes_too(journal: Journal, reader: Reader) -> None:
    for number in range(6):
        await journal.put(Kind.SITE, f"site-{number}", {"text": "x" * (LONGEST - 1000)})

    assert await reader.read(journal) == 2
    assert len(reader.documents()) == 6


async def test_an_object_that_is_too_large_to_travel_is_refused(journal: Journal) -> None:
    with pytest.raises(TooLarge):
        await journal.put(Kind.SITE, "lyon", {"text": "x" * LONGEST})
    assert await journal.objects(Kind.SITE) == {}


async def test_an_entry_stands_or_falls_with_the_transaction_that_it_is_made_in(
    journal: Journal, database: Database
) -> None:
    def work(connection: Connection) -> None:
        journal.write_on(connection, Kind.SITE, "lyon", {})
        journal.write_on(connection, Kind.SITE, "brest", {})
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError):
        await database.write(work)

    assert await journal.objects(Kind.SITE) == {}
    assert journal.standing(journal.own()).revision == 0


async def test_what_others_have_written_is_taken_and_stays_after_a_restart(
    taker: Taker, home: Home, database: Database, clock: ManualClock
) -> None:
    await taker.follow(home, most=2)
    assert taker.documents == home.documents()
    home.write("image-1", None, urgent=True)
    home.write("image-2", {"number": 22})
    await taker.follow(home)
    assert taker.documents == home.documents()

    again = await opened(database, clock)
    known = again.standing(home.standing.stream)
    assert known == taker.journal.standing(home.standing.stream)
    assert (known.digest, known.revision, known.trouble) == (home.standing.digest, 7, None)


async def test_a_page_is_kept_whole_with_what_it_changes_or_not_at_all(taker: Taker, home: Home) -> None:
    def fail(connection: Connection, changes: Sequence[Change]) -> None:
        raise RuntimeError("the disk is full")

    stream = home.standing.stream
    page = home.give(Place())
    with pytest.raises(RuntimeError):
        await taker.journal.take(page, (home.key.public,), fail)
    assert taker.journal.standing(stream).place == Place()

    await taker.follow(home)
    assert taker.documents == home.documents()


async def test_a_refused_page_changes_nothing_and_the_reason_outlasts_a_restart(
    taker: Taker, home: Home, database: Database, clock: ManualClock
) -> None:
    await taker.follow(home)
    stream = home.standing.stream
    thief = SigningKey.generate()
    entry = Entry(stream, 1, 6, Kind.IMAGE, "image-0", {"evil": True}, home.now)
    home.write("image-0", {"good": True})

    with pytest.raises(FeedRefused):
        await taker.take(
            replace(home.give(taker.journal.standing(stream).place), items=[sign_entry(entry, thief)])
        )

    assert taker.documents["image-0"] == {"number": 0}
    known = (await opened(database, clock)).standing(stream)
    assert (known.trouble, known.revision) == (Trouble.FORGED, 5)
    assert "not signed" in known.reason
    await taker.follow(home)
    assert taker.documents == home.documents()
    assert taker.journal.standing(stream).trouble is None


async def test_nobody_else_writes_the_streams_of_this_site(journal: Journal) -> None:
    forger = Home("lyon", KEY)
    forger.write("image-0", {})
    with pytest.raises(FeedRefused):
        await journal.take(forger.give(Place()), (KEY.public,), nothing)


async def test_what_a_late_follower_does_not_see_any_more_is_forgotten(taker: Taker, home: Home) -> None:
    await taker.follow(home)
    home.write("image-3", None)
    home.write("image-9", {})
    home.prune()

    await taker.follow(home)

    assert taker.documents == home.documents()
    assert "image-3" not in taker.documents


async def test_a_home_that_has_lost_what_it_wrote_deletes_nothing_here(taker: Taker, home: Home) -> None:
    backup = dict(home.rows), home.standing
    home.write("after-the-backup", {})
    await taker.follow(home)
    home.rows, home.standing = backup

    with pytest.raises(FeedRefused):
        await taker.follow(home)
    assert "after-the-backup" in taker.documents

    home.begin_anew()
    await taker.follow(home)
    assert taker.documents == home.documents()


async def test_a_new_epoch_is_followed_and_the_old_one_is_over(
    journal: Journal, reader: Reader, clock: ManualClock
) -> None:
    await journal.put(Kind.SITE, "lyon", {"a": 1})
    await journal.put(Kind.SITE, "brest", {})
    await journal.remove(Kind.SITE, "brest")
    await reader.read(journal)

    epoch = await journal.begin_anew()
    assert epoch >= clock.now().timestamp()
    assert await journal.begin_anew() == epoch + 1
    await reader.read(journal)

    assert reader.documents() == {"lyon": {"a": 1}}
    assert reader.standing.epoch == epoch + 1
    assert reader.standing.digest == journal.standing(journal.own()).digest


async def test_old_tombstones_are_pruned_and_a_late_follower_begins_again(
    journal: Journal, reader: Reader, clock: ManualClock
) -> None:
    late = Reader(journal.own(), (KEY.public,))
    for name in ("old", "young", "stays"):
        await journal.put(Kind.SITE, name, {})
    await reader.read(journal)
    await late.read(journal)
    await journal.remove(Kind.SITE, "old")
    clock.forward(100)
    await journal.remove(Kind.SITE, "young")
    await reader.read(journal)

    await journal.prune(keep=50)

    assert journal.standing(journal.own()).horizon == 4
    part = await journal.page(journal.own(), late.place)
    assert [row.id for row in part.rows] == ["stays", "young"]
    await late.read(journal)
    await reader.read(journal)
    assert late.documents() == reader.documents() == {"stays": {}}


async def test_a_follower_prunes_what_its_home_has_pruned(taker: Taker, home: Home) -> None:
    home.write("image-0", None)
    await taker.follow(home)
    await taker.journal.prune(keep=0)
    stream = home.standing.stream
    assert len((await taker.journal.page(stream, Place())).rows) == 5

    home.prune()
    home.write("image-1", {})
    await taker.follow(home)
    await taker.journal.prune(keep=0)

    assert len((await taker.journal.page(stream, Place())).rows) == 4
    assert taker.journal.standing(stream).horizon == 6


async def test_a_head_is_signed_afresh_when_half_of_its_life_is_over(
    journal: Journal, clock: ManualClock
) -> None:
    await journal.put(Kind.SITE, "lyon", {})
    first = journal.standing(journal.own())
    clock.forward(299)
    assert journal.standing(journal.own()) == first
    clock.forward(1)
    second = journal.standing(journal.own())
    assert second.as_of == clock.now()
    assert second.expires == clock.now() + timedelta(minutes=10)
    part = await journal.page(journal.own(), second.place)
    assert part.standing.head == second.head


async def test_those_who_wait_hear_of_a_change_and_not_of_a_new_head(
    journal: Journal, taker: Taker, home: Home, clock: ManualClock
) -> None:
    await taker.follow(home)
    records, copies = (journal.news(channel) for channel in Channel)

    clock.forward(301)
    assert journal.standing(journal.own()).as_of == clock.now()
    await taker.follow(home)
    assert not records.is_set()

    home.write("image-0", {})
    await taker.follow(home)
    assert records.is_set()
    assert not copies.is_set()
    await journal.put(Kind.COPY, "image-0", {}, channel=Channel.COPIES)
    assert copies.is_set()


async def test_a_thousand_followers_at_one_place_cost_one_look_into_the_database(
    journal: Journal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = database.read

    async def counted(work: Callable[[Connection], T]) -> T:
        nonlocal looks
        looks += 1
        return await look(work)

    monkeypatch.setattr(database, "read", counted)
    await journal.put(Kind.SITE, "lyon", {})

    parts = await asyncio.gather(*(journal.page(journal.own(), Place()) for _ in range(1000)))
    assert looks == 1
    assert len({id(part.encoded) for part in parts}) == 1

    await journal.put(Kind.SITE, "brest", {})
    assert len((await journal.page(journal.own(), Place())).rows) == 2
    assert looks == 2


async def test_what_one_follower_may_not_read_is_veiled_for_that_one_alone(journal: Journal) -> None:
    def may_read(row: Row) -> bool:
        return row.id != "secret"

    await journal.put(Kind.SITE, "secret", {"x": 1})
    await journal.put(Kind.SITE, "open", {"x": 2})
    veiled, open_ = (Reader(journal.own(), (KEY.public,)) for _ in range(2))
    await veiled.read(journal, may_read)
    await open_.read(journal)

    assert set(veiled.documents()) == {"open"}
    assert set(open_.documents()) == {"open", "secret"}
    assert veiled.standing.digest == open_.standing.digest


async def test_a_stream_that_has_left_is_forgotten(taker: Taker, home: Home, database: Database) -> None:
    await taker.follow(home)
    await taker.journal.drop(home.standing.stream)
    assert taker.journal.streams() == (taker.journal.own(),)
    assert await taker.journal.objects(Kind.IMAGE, home.standing.stream) == {}


@pytest.mark.parametrize("seed", range(12))
async def test_an_edge_below_this_site_has_what_the_home_has_after_any_history(
    seed: int, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(lines, "PAGE", chance.randint(1, 4))
    home = Home("centre")
    taker = Taker(journal, home)
    edge = Reader(home.standing.stream, (home.key.public,))
    for count in range(40):
        name = f"image-{chance.randrange(6)}"
        match chance.choice(["write", "write", "delete", "follow", "read", "prune", "tidy", "anew"]):
            case "write":
                home.write(name, {"count": count}, urgent=chance.random() < 0.3)
            case "delete" if name in home.documents():
                home.write(name, None, urgent=True)
            case "follow":
                await taker.follow(home, most=chance.randint(1, 4))
            case "read":
                await edge.read(journal)
            case "prune":
                home.prune()
            case "tidy":
                await journal.prune(keep=0)
            case "anew" if chance.random() < 0.3:
                home.begin_anew()

    await taker.follow(home)
    await edge.read(journal)

    assert edge.documents() == taker.documents == home.documents()
