"""Records of one site in the catalogue of another: what its journal says is what its catalogue says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.core import write_points
from skerry.core.clock import Clock
from skerry.core.errors import NotFound
from skerry.core.feed.documents import image_to_document
from skerry.core.feed.entry import Kind
from skerry.core.image import Image, MemberStatus, Status, Visibility
from skerry.core.query import Query, Scope
from skerry.core.signing import SigningKey
from tests.simulators.clock import ManualClock

NewImage = Callable[..., Image]
EVERYBODY = Scope(project_id=None, is_admin=True)


class Place:
    """A site: its records and its journal."""

    def __init__(self, database: Database, name: str, clock: Clock) -> None:
        self.name = name
        self.key = SigningKey.generate()
        self.journal = Journal(database, name, self.key, clock)
        self.records = Records(database, clock, journal=self.journal)

    async def load(self) -> "Place":
        await self.journal.load()
        await self.records.load()
        return self

    async def follow(self, other: "Place") -> None:
        """All that the other has written."""
        while True:
            stream = other.journal.own()
            part = await other.journal.page(stream, self.journal.standing(stream).place)
            apply = partial(_apply, self.records, other.name)
            page = part.page(lambda row: True)
            await self.journal.take(page, (other.key.public,), apply)
            if not page.more:
                return

    async def all(self) -> list[tuple[Image, tuple[Any, ...]]]:
        """All images and their members, without what differs from site to site."""
        found = []
        for image_id in await self.records.ids():
            image = (await self.records.get(image_id)).image
            found.append((replace(image, revision=0, home=None), tuple(await self.records.members(image_id))))
        return found

    async def journalled(self) -> dict[str, Any]:
        return dict(await self.journal.objects(Kind.IMAGE))

    async def urgent(self) -> list[bool]:
        """Whether what is written here is urgent, in order."""
        part = await self.journal.page(self.journal.own(), self.journal.standing(self.journal.own()).place)
        assert not part.rows
        part = await self.journal.page(self.journal.own(), replace(part.standing.place, revision=0))
        return [row.urgent for row in part.rows]


def _apply(records: Records, home: str, connection: Any, changes: Any) -> None:
    records.take_on(connection, home, changes)


@pytest.fixture
async def centre(database: Database, clock: ManualClock) -> Place:
    return await Place(database, "centre", clock).load()


@pytest.fixture
async def edge(other_database: Database, clock: ManualClock) -> Place:
    return await Place(other_database, "lyon", clock).load()


async def test_an_image_and_its_members_arrive_as_they_are(
    centre: Place, edge: Place, new_image: NewImage, clock: ManualClock
) -> None:
    image = new_image(
        name="ubuntu", owner="p", visibility=Visibility.SHARED, status=Status.ACTIVE, size=3,
        checksum="0" * 32, os_hash_algo="sha512", os_hash_value="1" * 128, tags=frozenset("ab"), min_ram=1,
        properties={"os_distro": "ubuntu", "empty": "", "nothing": None, "self": "x", "Ä": "ö\u2028"},
    )  # fmt: skip
    await centre.records.create(image)
    clock.forward(1)
    await centre.records.add_member(image.id, "q", most=5)
    await centre.records.add_member(image.id, "r", most=5)
    await centre.records.set_member_status(image.id, "q", MemberStatus.ACCEPTED)

    await edge.follow(centre)

    assert await edge.all() == await centre.all()
    assert (await edge.records.get(image.id)).image.home == "centre"
    assert (await centre.records.get(image.id)).image.home is None


async def test_changes_arrive_and_what_is_deleted_disappears(
    centre: Place, edge: Place, new_image: NewImage
) -> None:
    for number in (1, 2, 3):
        await centre.records.create(new_image(number, name=f"image {number}"))
    await edge.follow(centre)
    await centre.records.change(
        new_image(1).id, lambda image: replace(image, name="other", tags=frozenset("t"))
    )
    await centre.records.delete(new_image(2).id, lambda image: image)

    await edge.follow(centre)

    assert await edge.all() == await centre.all()
    with pytest.raises(NotFound):
        await edge.records.get(new_image(2).id)
    query = Query(equal={}, properties={}, every_visibility=True, hidden=None)
    assert len((await edge.records.page(query, EVERYBODY)).images) == 2


async def test_what_arrives_is_no_change_of_the_site_that_it_arrives_at(
    centre: Place, edge: Place, new_image: NewImage
) -> None:
    await centre.records.create(new_image(1))
    await edge.records.create(new_image(2))
    await edge.follow(centre)
    assert set(await edge.journalled()) == {new_image(2).id}

    await centre.follow(edge)
    assert await centre.all() == await edge.all()
    await centre.records.delete(new_image(1).id, lambda image: image)
    await edge.follow(centre)
    assert set(await edge.journalled()) == {new_image(2).id}


async def test_a_site_says_nothing_about_the_images_of_another(
    centre: Place, edge: Place, new_image: NewImage
) -> None:
    await centre.records.create(new_image(1, name="real"))
    await edge.journal.put(Kind.IMAGE, new_image(1).id, image_to_document(new_image(1, name="false"), ()))
    await edge.follow(centre)
    await centre.follow(edge)
    assert (await centre.records.get(new_image(1).id)).image.name == "real"

    await edge.journal.remove(Kind.IMAGE, new_image(1).id)
    await centre.follow(edge)
    assert (await centre.records.get(new_image(1).id)).image.name == "real"


async def test_a_record_that_makes_no_sense_is_passed_over_and_all_others_arrive(
    centre: Place, edge: Place, new_image: NewImage
) -> None:
    await centre.journal.put(Kind.IMAGE, new_image(1).id, {"image": "nonsense"})
    await centre.journal.put(Kind.IMAGE, new_image(2).id, image_to_document(new_image(3), ()))
    await centre.records.create(new_image(4))

    await edge.follow(centre)

    assert await edge.records.ids() == [new_image(4).id]


async def test_what_takes_something_away_is_urgent_and_nothing_else(
    centre: Place, new_image: NewImage
) -> None:
    one, two = new_image(1, status=Status.ACTIVE), new_image(2)
    for image in (one, two):
        await centre.records.create(image)
    await centre.records.change(two.id, lambda image: replace(image, name="n"))
    assert await centre.urgent() == [False, False]

    await centre.records.change(one.id, lambda image: replace(image, status=Status.DEACTIVATED))
    await centre.records.add_member(two.id, "p", most=5)
    assert await centre.urgent() == [True, True]

    await centre.records.change(one.id, lambda image: replace(image, status=Status.ACTIVE))
    await centre.records.delete(two.id, lambda image: image)
    assert await centre.urgent() == [False, True]


async def test_images_from_before_the_journal_are_entered_once(
    database: Database, clock: ManualClock, edge: Place, new_image: NewImage
) -> None:
    before = Records(database, clock)
    await before.load()
    for number in range(250):
        await before.create(new_image(number))
    await before.add_member(new_image(7).id, "p", most=5)

    centre = await Place(database, "centre", clock).load()
    assert await centre.records.backfill() == 250
    assert await centre.records.backfill() == 0
    await edge.follow(centre)

    assert await edge.all() == await centre.all()
    assert await edge.records.backfill() == 0


@pytest.fixture
def failing() -> Iterator[Callable[[str], None]]:
    """Have a write point fail."""

    @contextmanager
    def at(label: str) -> Iterator[None]:
        def fail(reached: str) -> None:
            if reached == label:
                raise RuntimeError(label)

        write_points.set_hook(fail)
        try:
            yield
        finally:
            write_points.set_hook(None)

    yield at  # type: ignore[misc]
    write_points.set_hook(None)


async def test_a_change_that_fails_before_its_commit_has_left_nothing_in_record_or_journal(
    centre: Place, new_image: NewImage, failing: Any
) -> None:
    image = await centre.records.create(new_image(1, name="old"))
    before = await centre.journalled(), centre.journal.standing(centre.journal.own()).place
    with failing("journal.entered"):
        for change in (
            centre.records.create(new_image(2)),
            centre.records.change(image.id, lambda image: replace(image, name="new")),
            centre.records.add_member(image.id, "p", most=5),
            centre.records.delete(image.id, lambda image: image),
        ):
            with pytest.raises(RuntimeError):
                await change

    assert (await centre.journalled(), centre.journal.standing(centre.journal.own()).place) == before
    assert await centre.all() == [(replace(image, revision=0), ())]


async def test_a_page_that_fails_before_its_commit_is_taken_again(
    centre: Place, edge: Place, new_image: NewImage, failing: Any
) -> None:
    await centre.records.create(new_image(1))
    with failing("feed.applied"), pytest.raises(RuntimeError):
        await edge.follow(centre)
    assert await edge.all() == []

    await edge.follow(centre)
    assert await edge.all() == await centre.all()
