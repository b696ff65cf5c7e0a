"""An image and its members to and from the database: the one conversion, and the statements that carry it.

Functions here work inside a transaction of the caller's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, delete, insert, select, update

from skerry.catalog.schema import counters, images, members, properties, tags, tombstones
from skerry.core.image import Image, Member, MemberStatus, Status, Visibility


class Entry(NamedTuple):
    """A record and whom it is shared with, oldest first."""

    image: Image
    members: tuple[Member, ...]


def next_revision(connection: Connection) -> int:
    """Count one more change."""
    grown = update(counters).where(counters.c.name == "revision").values(value=counters.c.value + 1)
    revision: int = connection.execute(grown.returning(counters.c.value)).scalar_one()
    return revision


class News(NamedTuple):
    """What has changed in a catalogue: its counters, and the newest revisions of images and tombstones.

    `changed` is None when it is too much to name, or when the revision has gone backwards.
    """

    counters: Mapping[str, int]
    changed: Mapping[str, int] | None


def counted(connection: Connection) -> Mapping[str, int]:
    """All counters; none in a replica that is being filled."""
    return {row.name: row.value for row in connection.execute(select(counters))}


def news(connection: Connection, since: int, *, most: int) -> News:
    """What was written after revision `since`, if that is at most `most` images."""
    found = counted(connection)
    newest = found.get("revision")
    if newest == since:
        return News(found, {})
    if newest is None or newest < since:
        return News(found, None)
    changed: dict[str, int] = {}
    for table, key in ((images, images.c.id), (tombstones, tombstones.c.image_id)):
        later = select(key, table.c.revision).where(table.c.revision > since).limit(most + 1)
        changed |= {row[0]: row.revision for row in connection.execute(later)}
    return News(found, changed if len(changed) <= most else None)


def newest_revision(connection: Connection) -> int:
    """The number of the last change."""
    newest = select(counters.c.value).where(counters.c.name == "revision")
    revision: int = connection.execute(newest).scalar_one()
    return revision


def load(connection: Connection, ids: Sequence[str], *, lock: bool = False) -> dict[str, Entry]:
    """The entries of those ids that exist; `lock` keeps other writers off them until the transaction ends."""
    query = select(images).where(images.c.id.in_(ids))
    found = connection.execute(query.with_for_update() if lock else query).all()
    if not found:
        return {}
    tagged: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(_belonging(tags, ids)):
        tagged[row.image_id].append(row.tag)
    described: dict[str, dict[str, str | None]] = defaultdict(dict)
    for row in connection.execute(_belonging(properties, ids)):
        described[row.image_id][row.name] = row.value
    shared: dict[str, list[Member]] = defaultdict(list)
    for row in connection.execute(
        _belonging(members, ids).order_by(members.c.created_at, members.c.project_id)
    ):
        shared[row.image_id].append(_member_from_row(row))
    return {
        row.id: Entry(_image_from_row(row, tagged[row.id], described[row.id]), tuple(shared[row.id]))
        for row in found
    }


def add(connection: Connection, image: Image) -> None:
    """Write a new record."""
    connection.execute(insert(images).values(_image_to_row(image)))
    _add_tags(connection, image.id, image.tags)
    _add_properties(connection, image.id, image.properties)


def replace(connection: Connection, old: Image, new: Image) -> None:
    """Write `new` over `old`, touching only the tables in which they differ."""
    connection.execute(update(images).where(images.c.id == old.id).values(_image_to_row(new)))
    if new.tags != old.tags:
        connection.execute(delete(tags).where(tags.c.image_id == old.id))
        _add_tags(connection, old.id, new.tags)
    if new.properties != old.properties:
        connection.execute(delete(properties).where(properties.c.image_id == old.id))
        _add_properties(connection, old.id, new.properties)


def bury(connection: Connection, image_id: str, revision: int, at: datetime) -> None:
    """Remove a record and all that belongs to it, and leave a tombstone."""
    connection.execute(delete(images).where(images.c.id == image_id))
    connection.execute(
        insert(tombstones).values(image_id=image_id, revision=revision, deleted_at=_seconds(at))
    )


def is_buried(connection: Connection, image_id: str) -> bool:
    """Whether there was such an image."""
    query = select(tombstones.c.image_id).where(tombstones.c.image_id == image_id)
    return connection.execute(query).first() is not None


def exhume(connection: Connection, image_id: str) -> None:
    """Forget that there was such an image."""
    connection.execute(delete(tombstones).where(tombstones.c.image_id == image_id))


def stamp(connection: Connection, image_id: str, revision: int) -> None:
    """Say that something that belongs to the record has changed, and nothing in it."""
    connection.execute(update(images).where(images.c.id == image_id).values(revision=revision))


def set_members(connection: Connection, image_id: str, sharing: Iterable[Member]) -> None:
    """Make these the members of an image."""
    connection.execute(delete(members).where(members.c.image_id == image_id))
    if rows := [_member_to_row(member) for member in sharing]:
        connection.execute(insert(members), rows)


def _belonging(table: Table, ids: Sequence[str]) -> Any:
    return select(table).where(table.c.image_id.in_(ids))


def _add_tags(connection: Connection, image_id: str, names: Iterable[str]) -> None:
    if rows := [{"image_id": image_id, "tag": name} for name in sorted(names)]:
        connection.execute(insert(tags), rows)


def _add_properties(connection: Connection, image_id: str, values: Mapping[str, str | None]) -> None:
    if rows := [{"image_id": image_id, "name": name, "value": value} for name, value in values.items()]:
        connection.execute(insert(properties), rows)


def _image_to_row(image: Image) -> dict[str, Any]:
    return {
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.checksum,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "os_hidden": image.os_hidden,
        "protected": image.protected,
        "created_at": _seconds(image.created_at),
        "updated_at": _seconds(image.updated_at),
        "revision": image.revision,
        "home": image.home,
        "index": image.index,
    }


def _image_from_row(row: Row[Any], tagged: list[str], described: dict[str, str | None]) -> Image:
    values = dict(row._mapping)
    values["status"] = Status(values["status"])
    values["visibility"] = Visibility(values["visibility"])
    values["created_at"] = _moment(values["created_at"])
    values["updated_at"] = _moment(values["updated_at"])
    return Image(**values, tags=frozenset(tagged), properties=MappingProxyType(described))


def _member_to_row(member: Member) -> dict[str, Any]:
    return {
        "image_id": member.image_id,
        "project_id": member.project_id,
        "status": member.status,
        "created_at": _seconds(member.created_at),
        "updated_at": _seconds(member.updated_at),
    }


def _member_from_row(row: Row[Any]) -> Member:
    return Member(
        image_id=row.image_id,
        project_id=row.project_id,
        status=MemberStatus(row.status),
        created_at=_moment(row.created_at),
        updated_at=_moment(row.updated_at),
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
