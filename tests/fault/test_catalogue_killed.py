"""A process that is killed while it writes records leaves a catalogue that starts again by itself."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from skerry.catalog import schema
from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.core.clock import SystemClock
from skerry.core.feed import digest
from skerry.core.feed.documents import image_to_document
from skerry.core.feed.entry import Kind
from skerry.core.feed.journal import Place
from skerry.core.signing import SigningKey

_WRITER = """
import asyncio, itertools, sys
from dataclasses import replace
from uuid import uuid4
from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.core.clock import SystemClock
from skerry.core.signing import SigningKey
from skerry.core.copy import Copy, CopyState
from skerry.core.image import Image

async def main():
    clock = SystemClock()
    database = Database(sys.argv[1])
    await database.open()
    journal = Journal(database, "centre", SigningKey.generate(), clock)
    records, copies = Records(database, clock, journal=journal), Copies(database, clock)
    await journal.load()
    await records.load()
    await copies.load()

    async def write():
        while True:
            image = Image(str(uuid4()), clock.now(), clock.now(), tags=frozenset("ab"), properties={"k": "v"})
            copy = Copy(image.id, CopyState.COMPLETE)
            await records.create(image, also=lambda connection: copies.put_on(connection, copy))
            print("created", image.id, flush=True)
            await records.add_member(image.id, "p1", most=1)
            await records.change(image.id, lambda image: replace(image, name="changed", tags=frozenset("c")))
            print("changed", image.id, flush=True)
            if image.id < "4":
                drop = lambda connection: copies.remove_on(connection, image.id)
                await records.delete(image.id, lambda image: image, also=drop)
                print("deleted", image.id, flush=True)

    await asyncio.gather(write(), write(), write())

asyncio.run(main())
"""


async def _write_until_killed(url: str, lines: int) -> dict[str, str]:
    """What the writer had acknowledged last of each image when it was killed."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, url, stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    acknowledged: dict[str, str] = {}
    for _ in range(lines):
        state, image_id = (await writer.stdout.readline()).decode().split()
        acknowledged[image_id] = state
    writer.kill()
    rest = (await writer.stdout.read()).decode()
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):
            state, image_id = line.split()
            acknowledged[image_id] = state
    await writer.wait()
    return acknowledged


def _newest(connection: Connection) -> int:
    """The greatest revision that anything in the database bears."""
    greatest = (
        connection.scalar(select(func.max(table.c.revision))) for table in (schema.images, schema.tombstones)
    )
    return max(revision or 0 for revision in greatest)


async def _check_journal(database: Database, records: Records) -> None:
    """The journal says of each image what its record says, and sums up all of them."""
    journal = Journal(database, "centre", SigningKey.generate(), SystemClock())
    await journal.load()
    said = await journal.objects(Kind.IMAGE)
    assert said.keys() == set(await records.ids())
    for image_id, body in said.items():
        image, members = (await records.get(image_id)).image, await records.members(image_id)
        assert body == image_to_document(image, members)
    standing, summed = journal.standing(journal.own()), digest.EMPTY
    place, more = Place(), True
    while more:
        part = await journal.page(journal.own(), place)
        for row in part.rows[: part.most]:
            summed = digest.add(summed, row.leaf)
            place = Place(row.epoch, row.revision, passing=True)
        more = part.more
    assert (summed, place.revision) == (standing.digest, standing.revision)


async def test_a_writer_killed_again_and_again_has_lost_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'skerry.db'}"
    acknowledged: dict[str, str] = {}
    for lines in (1, 40, 97):
        acknowledged |= await _write_until_killed(url, lines)

        database = Database(url)
        await database.open()
        records, copies = Records(database, SystemClock()), Copies(database, SystemClock())
        await records.load()
        await copies.load()

        assert (
            await database.read(lambda connection: connection.scalar(text("PRAGMA integrity_check"))) == "ok"
        )
        assert records.revision == await database.read(_newest)
        found = set(await records.ids())
        await _check_journal(database, records)
        assert {copy.image_id for copy in copies.all()} == found
        for image_id, state in acknowledged.items():
            if state == "deleted":
                assert image_id not in found
            elif image_id in found:
                image = (await records.get(image_id)).image
                assert (image.name, image.tags) in {(None, frozenset("ab")), ("changed", frozenset("c"))}
                assert state == "created" or image.name == "changed"
            else:
                assert image_id < "4", "only these are ever deleted"
        await database.close()
