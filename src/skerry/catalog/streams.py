"""Streams to and from the database: the one conversion of their rows and standings, and its statements.

Functions here work inside a transaction of the caller's.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, insert, select
from sqlalchemy import Row as Record

from skerry.catalog.schema import journal, streams
from skerry.core.feed.digest import WIDTH
from skerry.core.feed.entry import Entry, Kind, Signed, Stream
from skerry.core.feed.journal import Row, Standing, Trouble

_LIVES = func.length(journal.c.leaf) > 0


def load_standings(connection: Connection) -> dict[Stream, Standing]:
    """How far this site has come with each stream."""
    standings = map(_standing_from_row, connection.execute(select(streams)))
    return {standing.stream: standing for standing in standings}


def load_standing(connection: Connection, stream: Stream) -> Standing | None:
    """How far this site has come with one stream; None when it has never heard of it."""
    row = connection.execute(select(streams).where(streams.c.stream == str(stream))).first()
    return None if row is None else _standing_from_row(row)


def save_standing(connection: Connection, standing: Standing) -> None:
    """Write down how far this site has come."""
    connection.execute(delete(streams).where(streams.c.stream == str(standing.stream)))
    connection.execute(insert(streams).values(_standing_to_row(standing)))


def held(connection: Connection, stream: Stream, keys: Collection[str]) -> dict[str, Row]:
    """What is held of these objects."""
    query = select(journal).where(_of(stream), journal.c.key.in_(keys))
    return {row.key: row for row in map(_row_from_record, connection.execute(query))}


def save(connection: Connection, stream: Stream, rows: Sequence[Row]) -> None:
    """Hold these, in place of what was held of the same objects."""
    if rows:
        connection.execute(delete(journal).where(_of(stream), journal.c.key.in_([row.key for row in rows])))
        connection.execute(insert(journal), [_row_to_record(stream, row) for row in rows])


def after(connection: Connection, standing: Standing, revision: int, most: int) -> Iterator[Row]:
    """What was seen in the present round of a stream behind a revision, in order."""
    query = select(journal).where(_seen(standing), journal.c.revision > revision)
    return map(_row_from_record, connection.execute(query.order_by(journal.c.revision).limit(most)))


def urgent_after(connection: Connection, standing: Standing, revision: int, most: int) -> Iterator[Row]:
    """As `after`, only what is urgent."""
    query = select(journal).where(_seen(standing), journal.c.revision > revision, journal.c.urgent)
    return map(_row_from_record, connection.execute(query.order_by(journal.c.revision).limit(most)))


def newest_unseen(connection: Connection, standing: Standing) -> int | None:
    """The highest revision, of this epoch, of what lives and was not seen in the present round."""
    unseen = (_of(standing.stream), journal.c.round != standing.round, journal.c.epoch == standing.epoch)
    newest: int | None = connection.scalar(select(func.max(journal.c.revision)).where(*unseen, _LIVES))
    return newest


def drop_unseen(connection: Connection, standing: Standing) -> list[tuple[Kind, str]]:
    """Hold no more what was not seen in the present round; returns the objects that lived."""
    unseen = (_of(standing.stream), journal.c.round != standing.round)
    query = select(journal.c.kind, journal.c.object_id).where(*unseen, _LIVES, journal.c.kind.is_not(None))
    lived = [(Kind(row.kind), row.object_id) for row in connection.execute(query)]
    connection.execute(delete(journal).where(*unseen))
    return lived


def living(connection: Connection, stream: Stream, kind: Kind | None = None) -> Iterator[Entry]:
    """The objects of a stream that live and may be read here, in the order of their revisions."""
    query = select(journal.c.text, journal.c.signature).where(
        _of(stream), _LIVES, journal.c.text.is_not(None)
    )
    if kind is not None:
        query = query.where(journal.c.kind == kind)
    for row in connection.execute(query.order_by(journal.c.revision)):
        yield Signed(row.text, row.signature).entry()


def about(connection: Connection, kind: Kind, object_id: str) -> Iterator[tuple[Stream, Mapping[str, Any]]]:
    """The documents of one object that lives, with the streams that they are in."""
    query = select(journal.c.stream, journal.c.text, journal.c.signature).where(
        journal.c.kind == kind, journal.c.object_id == object_id, _LIVES, journal.c.text.is_not(None)
    )
    for row in connection.execute(query):
        if (body := Signed(row.text, row.signature).entry().body) is not None:
            yield Stream.parse(row.stream), body


def without_entry(stream: Stream, kind: Kind, object_id: ColumnElement[str]) -> Select[Any]:
    """Those ids of a column that no entry of a stream is about, dead or alive."""
    about = (_of(stream), journal.c.kind == kind, journal.c.object_id == object_id)
    return select(object_id).where(~exists().where(*about)).order_by(object_id)


def tombstones(connection: Connection, stream: Stream) -> Iterator[Row]:
    """What is no more, in the order of revisions."""
    query = select(journal).where(_of(stream), func.length(journal.c.leaf) == 0)
    return map(_row_from_record, connection.execute(query.order_by(journal.c.revision)))


def drop_tombstones(connection: Connection, stream: Stream, horizon: int) -> None:
    """Hold no tombstones up to a revision any more."""
    gone = (_of(stream), func.length(journal.c.leaf) == 0, journal.c.revision <= horizon)
    connection.execute(delete(journal).where(*gone))


def drop(connection: Connection, stream: Stream) -> None:
    """Hold nothing of a stream any more, nor how far it was read."""
    connection.execute(delete(journal).where(_of(stream)))
    connection.execute(delete(streams).where(streams.c.stream == str(stream)))


def _of(stream: Stream) -> Any:
    return journal.c.stream == str(stream)


def _seen(standing: Standing) -> Any:
    return _of(standing.stream) & (journal.c.round == standing.round)


def _row_to_record(stream: Stream, row: Row) -> Mapping[str, Any]:
    return {
        "stream": str(stream),
        "key": row.key,
        "epoch": row.epoch,
        "revision": row.revision,
        "round": row.round,
        "kind": row.kind,
        "object_id": row.id,
        "urgent": row.urgent,
        "leaf": row.leaf,
        "text": row.signed and row.signed.text,
        "signature": row.signature,
    }


def _row_from_record(record: Record[Any]) -> Row:
    return Row(
        record.key,
        record.epoch,
        record.revision,
        bytes(record.leaf),
        record.round,
        bytes(record.signature),
        _signed(record.text, record.signature),
        None if record.kind is None else Kind(record.kind),
        record.object_id,
        record.urgent,
    )


def _standing_to_row(standing: Standing) -> Mapping[str, Any]:
    return {
        "stream": str(standing.stream),
        "epoch": standing.epoch,
        "revision": standing.revision,
        "digest": standing.digest.to_bytes(WIDTH),
        "round": standing.round,
        "swept": standing.swept,
        "floor": standing.floor,
        "horizon": standing.horizon,
        "head": standing.head and standing.head.text,
        "signature": standing.head and standing.head.signature,
        "trouble": standing.trouble,
        "reason": standing.reason,
    }


def _standing_from_row(row: Record[Any]) -> Standing:
    signed = _signed(row.head, row.signature)
    head = None if signed is None else signed.head()
    return Standing(
        Stream.parse(row.stream),
        epoch=row.epoch,
        revision=row.revision,
        digest=int.from_bytes(row.digest),
        round=row.round,
        floor=row.floor,
        horizon=row.horizon,
        head=signed,
        as_of=None if head is None else head.at,
        expires=None if head is None else head.expires,
        swept=row.swept,
        trouble=None if row.trouble is None else Trouble(row.trouble),
        reason=row.reason,
    )


def _signed(text: str | None, signature: bytes | None) -> Signed | None:
    return None if text is None or signature is None else Signed(text, bytes(signature))


def objects(entries: Iterable[Entry]) -> dict[str, Mapping[str, Any]]:
    """The documents of entries that live, by id."""
    return {entry.id: entry.body for entry in entries if entry.body is not None}
