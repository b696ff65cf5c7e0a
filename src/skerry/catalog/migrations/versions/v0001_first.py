"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "images",
        sa.Column("id", _text(36), nullable=False),
        sa.Column("name", _text(255)),
        sa.Column("status", _text(20), nullable=False),
        sa.Column("visibility", _text(20), nullable=False),
        sa.Column("owner", _text(255)),
        sa.Column("disk_format", _text(20)),
        sa.Column("container_format", _text(20)),
        sa.Column("min_disk", sa.Integer, nullable=False),
        sa.Column("min_ram", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("virtual_size", sa.BigInteger),
        sa.Column("checksum", _text(32)),
        sa.Column("os_hash_algo", _text(64)),
        sa.Column("os_hash_value", _text(128)),
        sa.Column("os_hidden", sa.Boolean, nullable=False),
        sa.Column("protected", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("home", _text(64)),
        sa.Column("index", _text(64)),
        sa.PrimaryKeyConstraint("id", name="images_pkey"),
        sa.UniqueConstraint("revision", name="images_revision_key"),
    )
    op.create_index("images_created_at_id_idx", "images", ["created_at", "id"])
    op.create_index("images_owner_idx", "images", ["owner"])
    op.create_index("images_name_idx", "images", ["name"])
    op.create_index("images_os_hash_value_idx", "images", ["os_hash_value"])
    op.create_table(
        "image_tags",
        sa.Column("image_id", _text(36), nullable=False),
        sa.Column("tag", _text(255), nullable=False),
        sa.PrimaryKeyConstraint("image_id", "tag", name="image_tags_pkey"),
        _of_image("image_tags"),
    )
    op.create_index("image_tags_tag_idx", "image_tags", ["tag"])
    op.create_table(
        "image_properties",
        sa.Column("image_id", _text(36), nullable=False),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("value", _text(65535)),
        sa.PrimaryKeyConstraint("image_id", "name", name="image_properties_pkey"),
        _of_image("image_properties"),
    )
    op.create_index("image_properties_name_idx", "image_properties", ["name"])
    op.create_table(
        "image_members",
        sa.Column("image_id", _text(36), nullable=False),
        sa.Column("project_id", _text(255), nullable=False),
        sa.Column("status", _text(20), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "project_id", name="image_members_pkey"),
        _of_image("image_members"),
    )
    op.create_index("image_members_project_id_status_idx", "image_members", ["project_id", "status"])
    op.create_table(
        "tombstones",
        sa.Column("image_id", _text(36), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("image_id", name="tombstones_pkey"),
        sa.UniqueConstraint("revision", name="tombstones_revision_key"),
    )
    counters = op.create_table(
        "counters",
        sa.Column("name", _text(20), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="counters_pkey"),
    )
    op.bulk_insert(counters, [{"name": "revision", "value": 0}])
    op.create_table(
        "copies",
        sa.Column("image_id", _text(36), nullable=False),
        sa.Column("state", _text(20), nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("durable", sa.BigInteger, nullable=False),
        sa.Column("cached", sa.Boolean, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("placed", sa.Boolean, nullable=False),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("last_used", sa.Double, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("mirrored_by", _text(64), nullable=False),
        sa.Column("keep", sa.Double),
        sa.Column("unwanted_since", sa.Double),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("index", _text(64), nullable=False),
        sa.Column("verified_at", sa.Double, nullable=False),
        sa.Column("trouble", _text(255), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name="copies_pkey"),
    )
    op.create_table(
        "replicas",
        sa.Column("image_id", _text(36), nullable=False),
        sa.Column("checked_at", sa.Double, nullable=False),
        sa.Column("members_checked_at", sa.Double),
        sa.PrimaryKeyConstraint("image_id", name="replicas_pkey"),
        _of_image("replicas"),
    )
    op.create_table(
        "listings",
        sa.Column("url", _text(2048), nullable=False),
        sa.Column("listed_at", sa.Double, nullable=False),
        sa.Column("etag", _text(255)),
        sa.PrimaryKeyConstraint("url", name="listings_pkey"),
    )
    op.create_table(
        "journal",
        sa.Column("stream", _text(80), nullable=False),
        sa.Column("key", _text(32), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("round", sa.BigInteger, nullable=False),
        sa.Column("kind", _text(20)),
        sa.Column("object_id", _text(255)),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("signature", sa.LargeBinary),
        sa.PrimaryKeyConstraint("stream", "key", name="journal_pkey"),
    )
    op.create_index("journal_stream_revision_idx", "journal", ["stream", "revision"])
    op.create_index("journal_kind_object_id_idx", "journal", ["kind", "object_id"])
    op.create_table(
        "streams",
        sa.Column("stream", _text(80), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("round", sa.BigInteger, nullable=False),
        sa.Column("swept", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.Column("horizon", sa.BigInteger, nullable=False),
        sa.Column("head", sa.Text),
        sa.Column("signature", sa.LargeBinary),
        sa.Column("trouble", _text(20)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("stream", name="streams_pkey"),
    )
    op.create_table(
        "invitations",
        sa.Column("site", _text(64), nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_by", sa.LargeBinary),
        sa.PrimaryKeyConstraint("site", name="invitations_pkey"),
    )


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _of_image(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["image_id"], ["images.id"], name=f"{table}_image_id_fkey", ondelete="CASCADE"
    )
