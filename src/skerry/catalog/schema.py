"""The tables, for SQLite and PostgreSQL alike.

Times are whole seconds since the epoch, UTC. Text sorts by code point everywhere, so that pages have the
same order in both. `migrations/` holds the way here from each earlier version; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

HEAD = "0001"
"""The newest migration: what a new database is stamped with."""

VERSION, HEARTBEAT = "schema", "heartbeat"
"""Counters beside `revision`."""

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)


def _text(length: int) -> String:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _image_key() -> Column[str]:
    return Column("image_id", _text(36), ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)


images = Table(
    "images",
    metadata,
    Column("id", _text(36), primary_key=True),
    Column("name", _text(255)),
    Column("status", _text(20), nullable=False),
    Column("visibility", _text(20), nullable=False),
    Column("owner", _text(255)),
    Column("disk_format", _text(20)),
    Column("container_format", _text(20)),
    Column("min_disk", Integer, nullable=False),
    Column("min_ram", Integer, nullable=False),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", _text(32)),
    Column("os_hash_algo", _text(64)),
    Column("os_hash_value", _text(128)),
    Column("os_hidden", Boolean, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, unique=True),
    Column("home", _text(64)),
    Column("index", _text(64)),
    Index(None, "created_at", "id"),
    Index(None, "owner"),
    Index(None, "name"),
    Index(None, "os_hash_value"),
)

tags = Table(
    "image_tags",
    metadata,
    _image_key(),
    Column("tag", _text(255), primary_key=True),
    Index(None, "tag"),
)

properties = Table(
    "image_properties",
    metadata,
    _image_key(),
    Column("name", _text(255), primary_key=True),
    Column("value", _text(65535)),
    Index(None, "name"),
)

members = Table(
    "image_members",
    metadata,
    _image_key(),
    Column("project_id", _text(255), primary_key=True),
    Column("status", _text(20), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "project_id", "status"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("image_id", _text(36), primary_key=True),
    Column("revision", BigInteger, nullable=False, unique=True),
    Column("deleted_at", BigInteger, nullable=False),
)
"""Ids that are never used again, and what followers of this catalogue are told about them."""

counters = Table(
    "counters",
    metadata,
    Column("name", _text(20), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`revision` is the number of the last change; in PostgreSQL, raising it makes writers queue up.

`schema` is the version of these tables, `heartbeat` a time (seconds since the epoch) up to which whoever has
this row has all that was written.
"""

copies = Table(
    "copies",
    metadata,
    Column("image_id", _text(36), primary_key=True),
    Column("state", _text(20), nullable=False),
    Column("size", BigInteger),
    Column("durable", BigInteger, nullable=False),
    Column("cached", Boolean, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("placed", Boolean, nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("last_used", Double, nullable=False),
    Column("since", Double, nullable=False),
    Column("mirrored_by", _text(64), nullable=False),
    Column("keep", Double),
    Column("unwanted_since", Double),
    Column("paused", Boolean, nullable=False),
    Column("index", _text(64), nullable=False),
    Column("verified_at", Double, nullable=False),
    Column("trouble", _text(255), nullable=False),
)
"""Bytes at this site. Not tied to `images`: bytes outlive their record until they are removed."""

replicas = Table(
    "replicas",
    metadata,
    _image_key(),
    Column("checked_at", Double, nullable=False),
    Column("members_checked_at", Double),
)
"""When the records of other sites were last known true."""

listings = Table(
    "listings",
    metadata,
    Column("url", _text(2048), primary_key=True),
    Column("listed_at", Double, nullable=False),
    Column("etag", _text(255)),
)
"""When an upstream's list of images was last read, and what it called that state."""

journal = Table(
    "journal",
    metadata,
    Column("stream", _text(80), primary_key=True),
    Column("key", _text(32), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("round", BigInteger, nullable=False),
    Column("kind", _text(20)),
    Column("object_id", _text(255)),
    Column("urgent", Boolean, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("text", Text),
    Column("signature", LargeBinary),
    Index(None, "stream", "revision"),
    Index(None, "kind", "object_id"),
)
"""The objects of all streams that this site holds, its own among them; see core.feed.journal.Row."""

streams = Table(
    "streams",
    metadata,
    Column("stream", _text(80), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("round", BigInteger, nullable=False),
    Column("swept", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("horizon", BigInteger, nullable=False),
    Column("head", Text),
    Column("signature", LargeBinary),
    Column("trouble", _text(20)),
    Column("reason", Text, nullable=False),
)
"""How far this site has come with each stream; see core.feed.journal.Standing."""

invitations = Table(
    "invitations",
    metadata,
    Column("site", _text(64), primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_by", LargeBinary),
)
"""Sites that may join once, see core.enrolment.Invitation: the public half of their token; at the centre."""
