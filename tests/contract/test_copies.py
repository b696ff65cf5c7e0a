"""What a site knows of its copies."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection

from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.core.copy import Copy, CopyState
from skerry.core.image import Image, Status
from tests.simulators.clock import ManualClock

NOW = ManualClock().now()


@pytest.fixture
async def copies(database: Database) -> Copies:
    return await _loaded(database)


async def _loaded(database: Database) -> Copies:
    copies = Copies(database, ManualClock())
    await copies.load()
    return copies


PARTIAL = Copy(
    "a", CopyState.PARTIAL, size=1 << 40, durable=1 << 33, cached=True, pinned=True, hits=3, since=1.5
)


async def test_copies_are_as_they_were_put_here_and_after_a_restart(
    copies: Copies, database: Database
) -> None:
    await copies.put(replace(PARTIAL, state=CopyState.QUEUED))
    await copies.put(PARTIAL)
    await copies.put(Copy("b", CopyState.COMPLETE))

    for known in (copies, await _loaded(database)):
        assert known.get("a") == PARTIAL
        assert {copy.image_id for copy in known.all()} == {"a", "b"}


async def test_a_removed_copy_is_gone_here_and_after_a_restart(copies: Copies, database: Database) -> None:
    await copies.put(PARTIAL)
    copies.touch("a")
    await copies.remove("a")
    await copies.remove("a")
    await copies.flush()

    for known in (copies, await _loaded(database)):
        assert known.get("a") is None
        assert known.all() == []


async def test_uses_are_counted_at_once_and_durable_after_a_flush(copies: Copies, database: Database) -> None:
    await copies.put(PARTIAL)
    copies.touch("a")
    copies.touch("a")
    copies.touch("no-such-copy")
    used = replace(PARTIAL, hits=5, last_used=NOW.timestamp())

    assert copies.get("a") == used
    assert (await _loaded(database)).get("a") == PARTIAL
    await copies.flush()
    assert (await _loaded(database)).get("a") == used


async def test_uses_are_not_forgotten_when_a_flush_fails(
    copies: Copies, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await copies.put(PARTIAL)
    copies.touch("a")

    async def fail(_work: object) -> None:
        raise OSError

    monkeypatch.setattr(database, "write", fail)
    with pytest.raises(OSError):
        await copies.flush()
    monkeypatch.undo()
    await copies.flush()

    known = (await _loaded(database)).get("a")
    assert known is not None
    assert known.hits == PARTIAL.hits + 1


async def test_a_copy_and_its_record_come_and_go_in_one_transaction(
    copies: Copies, database: Database
) -> None:
    records = Records(database, ManualClock())
    copy = Copy("a", CopyState.COMPLETE)
    await records.create(Image("a", NOW, NOW), also=lambda connection: copies.put_on(connection, copy))
    assert copies.get("a") == copy

    def remove_and_fail(connection: Connection) -> None:
        copies.remove_on(connection, "a")
        raise KeyError

    with pytest.raises(KeyError):
        await records.delete("a", lambda image: image, also=remove_and_fail)
    for known in (copies, await _loaded(database)):
        assert known.get("a") == copy

    await records.delete("a", lambda image: image, also=lambda connection: copies.remove_on(connection, "a"))
    for known in (copies, await _loaded(database)):
        assert known.get("a") is None


@pytest.mark.parametrize(
    ("copy", "evictable"),
    [
        (Copy("a", CopyState.COMPLETE, cached=True), True),
        (Copy("a", CopyState.COMPLETE, cached=True, pinned=True), False),
        (Copy("a", CopyState.COMPLETE, cached=False), False),
        (Copy("a", CopyState.PARTIAL, cached=True), False),
    ],
)
def test_only_a_whole_cached_copy_that_is_not_pinned_may_be_evicted(copy: Copy, evictable: bool) -> None:
    assert copy.evictable is evictable


async def test_changes_at_the_same_time_all_count(copies: Copies, database: Database) -> None:
    await copies.put(PARTIAL)
    await asyncio.gather(
        *(
            copies.change("a", lambda copy: copy and replace(copy, durable=copy.durable + 1))
            for _ in range(20)
        )
    )
    for known in (copies, await _loaded(database)):
        assert known.get("a") == replace(PARTIAL, durable=PARTIAL.durable + 20)


async def test_a_change_may_make_a_copy_or_leave_none(copies: Copies, database: Database) -> None:
    await copies.change("a", lambda copy: copy or PARTIAL)
    assert copies.get("a") == PARTIAL
    await copies.change("a", lambda _: None)
    for known in (copies, await _loaded(database)):
        assert known.get("a") is None


async def test_bytes_that_are_lacking_are_those_of_fixed_images_of_these_homes_that_are_not_whole_here(
    copies: Copies, records: Records
) -> None:
    def image(n: int, home: str | None, status: Status = Status.ACTIVE, size: int | None = 3) -> Image:
        created = NOW + timedelta(seconds=-n)
        return Image(str(UUID(int=n)), created, NOW, status=status, size=size, home=home)

    wanted = [image(1, "lyon"), image(2, "lyon", Status.DEACTIVATED), image(3, "brest")]
    others = [
        image(4, "nice"),
        image(5, None),
        image(6, "lyon", Status.SAVING),
        image(7, "lyon", size=None),
        image(8, "lyon"),
    ]
    for one in (*wanted, *others):
        await records.put(one)
    await copies.put(Copy(wanted[0].id, CopyState.PARTIAL))
    await copies.put(Copy(others[-1].id, CopyState.COMPLETE))

    assert await copies.lacking({"lyon", "brest"}, 10) == [one.id for one in reversed(wanted)]
    assert await copies.lacking({"lyon", "brest"}, 1) == [wanted[-1].id]
    assert await copies.lacking((), 10) == []


async def test_orphans_are_copies_of_images_that_nothing_is_known_of(
    copies: Copies, records: Records
) -> None:
    known = Image(str(UUID(int=1)), NOW, NOW)
    await records.create(known)
    for image_id in (known.id, "a", "b"):
        await copies.put(Copy(image_id, CopyState.COMPLETE))
    assert sorted(await copies.orphans()) == ["a", "b"]
