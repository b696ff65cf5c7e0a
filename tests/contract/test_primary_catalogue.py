"""What every primary catalogue promises about single records, members and revisions."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.core.errors import Conflict, NotFound, TooLarge
from skerry.core.image import Image, Member, MemberStatus, Status, Visibility
from tests.simulators.clock import ManualClock

NewImage = Callable[..., Image]


class RefusedError(Exception):
    pass


def _refuse(_image: Image) -> Image:
    raise RefusedError


def _rename(name: str) -> Callable[[Image], Image]:
    return lambda image: replace(image, name=name)


async def _reopened(database: Database, clock: ManualClock) -> Records:
    """The catalogue as a process that starts now finds it."""
    records = Records(database, clock)
    await records.load()
    return records


@pytest.fixture
def full(new_image: NewImage) -> Image:
    """An image with every attribute set."""
    return new_image(
        7,
        name="débian 🐧",
        status=Status.ACTIVE,
        visibility=Visibility.COMMUNITY,
        owner="p1",
        disk_format="qcow2",
        container_format="bare",
        min_disk=20,
        min_ram=512,
        size=1 << 40,
        virtual_size=(1 << 63) - 1,
        checksum="0" * 32,
        os_hash_algo="sha512",
        os_hash_value="1" * 128,
        os_hidden=True,
        protected=True,
        tags=frozenset({"a", "B", "ü"}),
        properties={"hw_rng": "virtio", "empty": "", "unset": None, "'; --": '"$.x"'},
    )


async def test_a_record_is_found_again_exactly_as_it_was_created(
    records: Records, database: Database, clock: ManualClock, full: Image
) -> None:
    created = await records.create(full)

    assert replace(created, revision=0) == full
    assert (await records.get(full.id)).image == created
    assert (await (await _reopened(database, clock)).get(full.id)).image == created


async def test_an_unknown_image_is_not_found(records: Records) -> None:
    for asked in ("", "no-such-id", "x" * 10_000):
        with pytest.raises(NotFound):
            await records.get(asked)
        with pytest.raises(NotFound):
            await records.members(asked)
        with pytest.raises(NotFound):
            await records.change(asked, lambda image: image)
        with pytest.raises(NotFound):
            await records.delete(asked, lambda image: image)


async def test_an_id_in_use_is_refused(records: Records, new_image: NewImage) -> None:
    first = await records.create(new_image(1, name="first"))

    with pytest.raises(Conflict):
        await records.create(new_image(1, name="second"))

    assert (await records.get(first.id)).image == first
    assert records.revision == first.revision


async def test_the_id_of_a_deleted_image_is_never_used_again(
    records: Records, database: Database, clock: ManualClock, new_image: NewImage
) -> None:
    image = await records.create(new_image(1))
    await records.delete(image.id, lambda image: image)

    for catalogue in (records, await _reopened(database, clock)):
        with pytest.raises(Conflict):
            await catalogue.create(new_image(1))
        with pytest.raises(NotFound):
            await catalogue.get(image.id)


async def test_a_change_moves_the_time_and_the_revision(
    records: Records, database: Database, clock: ManualClock, full: Image
) -> None:
    created = await records.create(full)
    clock.forward(5.5)

    changed = await records.change(
        full.id, lambda image: replace(image, name=None, tags=frozenset("c"), properties={"k": "v"})
    )

    assert changed.updated_at == created.updated_at.replace(second=5)
    assert changed.created_at == created.created_at
    assert changed.revision == records.revision > created.revision
    assert (changed.name, changed.tags, dict(changed.properties)) == (None, frozenset("c"), {"k": "v"})
    assert (await records.get(full.id)).image == changed
    assert (await (await _reopened(database, clock)).get(full.id)).image == changed


async def test_a_rule_cannot_change_the_id_of_an_image(records: Records, new_image: NewImage) -> None:
    image = await records.create(new_image(1))

    changed = await records.change(image.id, lambda image: replace(image, id="other", name="new"))

    assert changed.id == image.id
    assert await records.ids() == [image.id]


async def test_a_rule_that_changes_nothing_leaves_time_and_revision(
    records: Records, clock: ManualClock, new_image: NewImage
) -> None:
    created = await records.create(new_image(1))
    clock.forward(60)

    assert await records.change(created.id, lambda image: replace(image)) == created
    assert records.revision == created.revision


async def test_a_rule_that_refuses_undoes_everything(records: Records, new_image: NewImage) -> None:
    created = await records.create(new_image(1))

    with pytest.raises(RefusedError):
        await records.change(created.id, _refuse)
    with pytest.raises(RefusedError):
        await records.delete(created.id, _refuse)

    assert (await records.get(created.id)).image == created
    assert records.revision == created.revision


async def test_what_is_written_along_stands_or_falls_with_the_record(
    records: Records, database: Database, clock: ManualClock, new_image: NewImage
) -> None:
    image = await records.create(new_image(1))

    def fail(_connection: Connection) -> None:
        raise RefusedError

    for attempt in (
        records.create(new_image(2), also=fail),
        records.change(image.id, _rename("lost"), also=fail),
        records.delete(image.id, lambda image: image, also=fail),
    ):
        with pytest.raises(RefusedError):
            await attempt

    for catalogue in (records, await _reopened(database, clock)):
        assert await catalogue.ids() == [image.id]
        assert (await catalogue.get(image.id)).image == image
        assert catalogue.revision == image.revision


async def test_a_deleted_image_is_returned_once_more_and_gone(records: Records, new_image: NewImage) -> None:
    created = await records.create(new_image(1, tags=frozenset("a"), properties={"k": "v"}))
    await records.add_member(created.id, "p2", most=1)

    last = await records.delete(created.id, lambda image: image)

    assert replace(last, revision=0) == replace(created, revision=0)
    assert records.cached(created.id) is None
    assert await records.ids() == []
    assert records.revision > last.revision


async def test_changes_made_at_the_same_time_are_all_kept(records: Records, new_image: NewImage) -> None:
    image = await records.create(new_image(1))
    names = [f"tag{n}" for n in range(20)]

    def tag(name: str) -> Callable[[Image], Image]:
        return lambda image: replace(image, tags=image.tags | {name})

    await asyncio.gather(*(records.change(image.id, tag(name)) for name in names))

    final = (await records.get(image.id)).image
    assert final.tags == frozenset(names)
    assert final.revision == records.revision == image.revision + len(names)


async def test_a_change_whose_caller_goes_away_is_in_memory_as_in_the_database(
    records: Records, database: Database, clock: ManualClock, new_image: NewImage
) -> None:
    image = await records.create(new_image(1))
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()

    def rule(image: Image) -> Image:
        loop.call_soon_threadsafe(begun.set)
        return replace(image, name="changed")

    change = asyncio.ensure_future(records.change(image.id, rule))
    await begun.wait()
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change

    in_memory = (await records.get(image.id)).image
    assert in_memory.name == "changed"
    assert (await (await _reopened(database, clock)).get(image.id)).image == in_memory


async def test_memory_holds_no_more_records_than_it_may_and_still_finds_all(
    database: Database, clock: ManualClock, new_image: NewImage
) -> None:
    records = Records(database, clock, held=3)
    await records.load()
    images = [await records.create(new_image(n)) for n in range(10)]

    assert [(await records.get(image.id)).image for image in images] == images
    assert sum(records.cached(image.id) is not None for image in images) == 3


async def test_a_record_read_while_it_is_changed_is_not_kept_in_memory(
    database: Database, clock: ManualClock, new_image: NewImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await _reopened(database, clock)
    image = await writer.create(new_image(1))
    records = await _reopened(database, clock)
    read = database.read

    async def read_then_be_overtaken(work: Callable[[Connection], object]) -> object:
        found = await read(work)
        monkeypatch.undo()
        await records.change(image.id, _rename("newer"))
        return found

    monkeypatch.setattr(database, "read", read_then_be_overtaken)
    await records.get(image.id)

    assert (await records.get(image.id)).image.name == "newer"


# Members


async def test_members_are_listed_oldest_first(
    records: Records, database: Database, clock: ManualClock, new_image: NewImage
) -> None:
    image = await records.create(new_image(1))
    added = []
    for project in ("p3", "p1", "p2"):
        clock.forward(1)
        added.append(await records.add_member(image.id, project, most=3))

    assert [member.project_id for member in await records.members(image.id)] == ["p3", "p1", "p2"]
    assert added[0] == Member(
        image.id, "p3", MemberStatus.PENDING, added[0].created_at, updated_at=added[0].created_at
    )
    for catalogue in (records, await _reopened(database, clock)):
        assert list(await catalogue.members(image.id)) == added


async def test_a_change_of_members_moves_the_revision_of_the_image_and_not_its_time(
    records: Records, clock: ManualClock, new_image: NewImage
) -> None:
    image = await records.create(new_image(1))
    seen = [image.revision]
    clock.forward(5)

    for change in (
        lambda: records.add_member(image.id, "p2", most=1),
        lambda: records.set_member_status(image.id, "p2", MemberStatus.ACCEPTED),
        lambda: records.remove_member(image.id, "p2"),
    ):
        await change()
        after = (await records.get(image.id)).image
        assert replace(after, revision=0) == replace(image, revision=0)
        assert after.revision == records.revision
        seen.append(after.revision)

    assert seen == sorted(set(seen))


async def test_a_project_is_a_member_once(records: Records, new_image: NewImage) -> None:
    image = await records.create(new_image(1))
    await records.add_member(image.id, "p2", most=5)

    with pytest.raises(Conflict, match="p2"):
        await records.add_member(image.id, "p2", most=5)


async def test_an_image_has_no_more_members_than_allowed(records: Records, new_image: NewImage) -> None:
    image = await records.create(new_image(1))
    await records.add_member(image.id, "p1", most=2)
    await records.add_member(image.id, "p2", most=2)

    with pytest.raises(TooLarge, match="Maximum: 2"):
        await records.add_member(image.id, "p3", most=2)


async def test_the_answer_of_a_member_is_kept(
    records: Records, database: Database, clock: ManualClock, new_image: NewImage
) -> None:
    image = await records.create(new_image(1))
    added = await records.add_member(image.id, "p2", most=5)
    clock.forward(9)

    answered = await records.set_member_status(image.id, "p2", MemberStatus.REJECTED)

    assert answered == replace(added, status=MemberStatus.REJECTED, updated_at=clock.now())
    assert list(await (await _reopened(database, clock)).members(image.id)) == [answered]


async def test_who_is_no_member_cannot_answer_or_leave(records: Records, new_image: NewImage) -> None:
    image = await records.create(new_image(1))

    with pytest.raises(NotFound, match="p2"):
        await records.set_member_status(image.id, "p2", MemberStatus.ACCEPTED)
    with pytest.raises(NotFound, match="p2"):
        await records.remove_member(image.id, "p2")
    with pytest.raises(NotFound):
        await records.add_member("no-such-image", "p2", most=5)


# The records of other sites


async def test_a_replica_is_kept_exactly_as_its_home_has_it(
    records: Records, database: Database, clock: ManualClock, full: Image
) -> None:
    clock.forward(1000)

    kept = await records.put(replace(full, revision=77))

    assert replace(kept, revision=0) == full
    assert kept.revision == records.revision
    changed = await records.put(replace(full, name="newer"))
    assert changed == replace(full, name="newer", revision=records.revision)
    assert (await (await _reopened(database, clock)).get(full.id)).image == changed


async def test_a_replica_that_is_the_same_moves_no_revision(
    records: Records, database: Database, clock: ManualClock, full: Image
) -> None:
    kept = await records.put(full)

    for catalogue in (records, await _reopened(database, clock)):
        assert await catalogue.put(replace(full, revision=5)) == kept
        await catalogue.put_all([full])
        assert catalogue.cached(full.id) == kept
        assert catalogue.revision == kept.revision


async def test_many_replicas_are_kept_at_once(
    records: Records, database: Database, clock: ManualClock, new_image: NewImage
) -> None:
    same, older = await records.put(new_image(1)), await records.put(new_image(2, name="older"))
    await records.put(new_image(3))
    await records.drop(new_image(3).id)
    later = clock.now().replace(microsecond=999)

    await records.put_all(
        [
            new_image(1),
            new_image(2, name="newer"),
            new_image(3, name="back"),
            new_image(4, name="twice"),
            new_image(4, name="last", updated_at=later),
        ]
    )

    for catalogue in (records, await _reopened(database, clock)):
        images = [(await catalogue.get(image_id)).image for image_id in await catalogue.ids()]
        assert [image.name for image in images] == [None, "newer", "back", "last"]
        assert images[0] == same
        assert images[3].updated_at == clock.now()
        revisions = [image.revision for image in images]
        assert sorted(set(revisions)) == revisions
        assert catalogue.revision == revisions[-1] > older.revision


async def test_the_members_of_a_replica_are_kept_and_move_the_revision_only_when_they_differ(
    records: Records, clock: ManualClock, full: Image
) -> None:
    await records.put(full)
    members = [
        Member(full.id, project, MemberStatus.ACCEPTED, clock.now(), clock.now()) for project in ("p2", "p1")
    ]

    await records.put_members(full.id, members)
    after = records.revision
    await records.put_members(full.id, members[::-1])

    assert records.revision == after
    assert [member.project_id for member in await records.members(full.id)] == ["p1", "p2"]
    await records.put_members(full.id, [])
    assert not await records.members(full.id)
    assert records.revision > after


async def test_a_dropped_replica_is_gone_and_may_come_back(records: Records, full: Image) -> None:
    await records.put(full)

    await records.drop(full.id)
    dropped = records.revision
    await records.drop(full.id)

    assert records.revision == dropped
    assert await records.ids() == []
    assert replace(await records.put(full), revision=0) == full
