"""What a process knows of a catalogue that another one writes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from sqlalchemy import Connection, delete, text, update

from skerry.catalog import rows, schema
from skerry.catalog.database import Database
from skerry.catalog.onlooker import Onlooker
from skerry.catalog.records import Records
from skerry.core.errors import ConfigError, NotFound, StoreFailed
from skerry.core.image import Image, MemberStatus
from skerry.core.query import Query, Scope
from tests.simulators.clock import ManualClock

Found = TypeVar("Found")
NewImage = Callable[..., Image]
ANYBODY = Scope(project_id=None, is_admin=True)
ALL = Query(
    equal={}, properties={}, every_visibility=True, member_status=None, hidden=None, limit=25, marker=None
)


class CountingReader(Database):
    """A database that is only read; `reads` counts its transactions."""

    reads = 0

    async def read(self, work: Callable[[Connection], Found]) -> Found:
        self.reads += 1
        return await super().read(work)


@pytest.fixture
async def counting(database: Database, database_url: str) -> AsyncIterator[CountingReader]:
    counting = CountingReader(database_url, read_only=True)
    await counting.open()
    yield counting
    await counting.close()


@pytest.fixture
async def there(counting: CountingReader, clock: ManualClock) -> Records:
    records = Records(counting, clock)
    await records.load()
    return records


@pytest.fixture
def onlooker(there: Records, records: Records) -> Onlooker:
    """Another process of the site, which is told how far the first one is."""
    return Onlooker(there, lambda: records.revision)


async def listed(onlooker: Onlooker) -> list[str]:
    await onlooker.freshen(ALL, ANYBODY)
    return [image.id for image in (await onlooker.page(ALL, ANYBODY)).images]


async def test_every_change_is_seen_by_whoever_asks_after_it(
    records: Records, onlooker: Onlooker, new_image: NewImage
) -> None:
    assert await listed(onlooker) == []
    image = await records.create(new_image(1, name="one"))
    assert (await onlooker.get(image.id)).image == image
    assert await listed(onlooker) == [image.id]

    changed = await records.change(image.id, lambda one: replace(one, name="two"))
    assert (await onlooker.get(image.id)).image == changed

    await records.add_member(image.id, "p2", most=5)
    assert [member.project_id for member in await onlooker.members(image.id)] == ["p2"]
    await records.set_member_status(image.id, "p2", MemberStatus.ACCEPTED)
    assert [member.status for member in await onlooker.members(image.id)] == [MemberStatus.ACCEPTED]

    await records.delete(image.id, lambda one: one)
    with pytest.raises(NotFound):
        await onlooker.get(image.id)
    assert await listed(onlooker) == []


async def test_what_has_not_changed_is_known_by_heart(
    records: Records, onlooker: Onlooker, counting: CountingReader, new_image: NewImage
) -> None:
    kept, changing = [await records.create(new_image(n)) for n in (1, 2)]
    for image in (kept, changing):
        await onlooker.get(image.id)
    await listed(onlooker)

    before = counting.reads
    for _ in range(3):
        await onlooker.get(kept.id)
        await listed(onlooker)
    assert counting.reads == before

    await records.change(changing.id, lambda one: replace(one, name="new"))
    await onlooker.get(kept.id)
    assert counting.reads == before + 1, "one look at what is new, none at what is not"


async def test_more_changes_than_can_be_named_are_seen_as_well(
    records: Records, there: Records, onlooker: Onlooker, new_image: NewImage
) -> None:
    images = [new_image(n) for n in range(1, 1102)]
    await records.put_all(images)
    await onlooker.get(images[0].id)
    state = there.state

    await records.put_all([replace(image, name="new") for image in images])

    assert (await onlooker.get(images[0].id)).image.name == "new"
    assert there.state != state


async def test_a_catalogue_that_goes_backwards_is_not_taken_for_one_that_was_seen(
    database: Database, records: Records, there: Records, new_image: NewImage, clock: ManualClock
) -> None:
    image = await records.create(new_image(1, name="before"))
    await records.change(image.id, lambda one: replace(one, name="after"))
    await there.catch_up()
    assert (await there.get(image.id)).image.name == "after"
    seen = there.state

    def restore(connection: Connection) -> None:
        connection.execute(update(schema.images).values(name="before", revision=1))
        connection.execute(
            update(schema.counters).where(schema.counters.c.name == "revision").values(value=1)
        )

    await database.write(restore)
    await there.catch_up()
    assert (await there.get(image.id)).image.name == "before"

    other = Records(database, clock)
    await other.load()
    await other.create(new_image(2))
    await there.catch_up()
    assert there.revision == 2
    assert there.state != seen, "the same number, another catalogue"


async def test_a_catalogue_without_counters_is_empty_and_says_so(
    database: Database, records: Records, there: Records, new_image: NewImage
) -> None:
    image = await records.create(new_image(1))
    await there.catch_up()
    await there.get(image.id)

    await database.write(lambda connection: connection.execute(delete(schema.counters)))
    await database.write(lambda connection: connection.execute(delete(schema.images)))

    assert await there.catch_up() == {}
    with pytest.raises(NotFound):
        await there.get(image.id)


async def test_a_database_that_is_only_read_cannot_be_written(counting: CountingReader) -> None:
    for attempt in (rows.next_revision, lambda connection: connection.execute(text("DELETE FROM images"))):
        with pytest.raises(StoreFailed, match="read"):
            await counting.write(attempt)
        with pytest.raises(StoreFailed, match="read"):
            await counting.read(attempt)


async def test_a_database_of_another_version_is_not_read(
    database: Database, counting: CountingReader, other_database_url: str
) -> None:
    await database.write(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    )
    with pytest.raises(ConfigError, match="version 0000"):
        await counting.open()

    empty = Database(other_database_url, read_only=True)
    with pytest.raises(ConfigError, match="version None"):
        await empty.open()
    await empty.close()


async def test_the_tables_say_in_a_counter_which_version_they_are(database: Database, there: Records) -> None:
    assert (await there.catch_up())[schema.VERSION] == int(schema.HEAD)
