"""What of a catalogue PostgreSQL's logical replication carries elsewhere, and how that is set up.

A publication at the home and a subscription elsewhere. A streaming standby has all tables anyway.
"""

import re

from sqlalchemy import Connection, Table, text
from sqlalchemy.schema import CreateIndex, CreateTable

from skerry.catalog import schema

PUBLISHED: tuple[Table, ...] = (
    schema.images,
    schema.tags,
    schema.properties,
    schema.members,
    schema.tombstones,
    schema.counters,
)
"""The records, and how far they are. Copies, ages and what sites say to each other stay at home."""

_NAME = "skerry"
_BEING_FILLED = text(
    "SELECT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r' AND srrelid IN ("
    + ", ".join(f"to_regclass('{table.name}')" for table in PUBLISHED)
    + "))"
)


def publication() -> str:
    """Statements for the database of the home, whose server needs `wal_level = logical`."""
    names = ", ".join(table.name for table in PUBLISHED)
    return f"CREATE PUBLICATION {_NAME} FOR TABLE {names};\n"


def subscription(site: str, connection: str, reader: str | None) -> str:
    """Statements for an empty database at `site`.

    `connection` is how its server reaches the home's, in libpq's words; `reader` is the user that Skerry
    reads as.
    """
    from sqlalchemy.dialects import postgresql  # slow to import, and of no use to a site that runs

    dialect = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
    made = [str(CreateTable(table).compile(dialect=dialect)).strip() for table in PUBLISHED]
    made += [
        str(CreateIndex(index).compile(dialect=dialect)).strip()
        for table in PUBLISHED
        for index in sorted(table.indexes, key=lambda index: str(index.name))
    ]
    made += [
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        f"INSERT INTO alembic_version VALUES ('{schema.HEAD}')",
    ]
    if reader:
        names = ", ".join([*(table.name for table in PUBLISHED), "alembic_version"])
        made.append(f'GRANT SELECT ON {names} TO "{_doubled(reader, chr(34))}"')
    slot = f"{_NAME}_{re.sub('[^a-z0-9]', '_', site.lower())}"
    quoted = _doubled(connection, "'")
    made.append(f"CREATE SUBSCRIPTION {slot} CONNECTION '{quoted}' PUBLICATION {_NAME}")
    return "".join(f"{statement};\n" for statement in made)


def is_being_filled(connection: Connection) -> bool:
    """Whether a subscription has yet to bring what the home had before it. Not so at a standby."""
    return bool(connection.scalar(_BEING_FILLED))


def _doubled(words: str, mark: str) -> str:
    return words.replace(mark, mark * 2)
