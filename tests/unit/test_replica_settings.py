"""Settings and statements of a replica that PostgreSQL keeps."""

import pytest

from skerry.catalog.publication import PUBLISHED, publication, subscription
from skerry.config import load
from skerry.core.errors import ConfigError

REPLICA = "postgresql+psycopg://reader@localhost/skerry"
UPSTREAM = "https://image.example"


def test_a_replica_needs_an_upstream_and_is_postgresqls() -> None:
    assert load(None, {"SKERRY_UPSTREAM_URL": UPSTREAM, "SKERRY_UPSTREAM_REPLICA": REPLICA})
    with pytest.raises(ConfigError, match=r"\[upstream\] replica is set and \[upstream\] url is not"):
        load(None, {"SKERRY_UPSTREAM_REPLICA": REPLICA})
    with pytest.raises(ConfigError, match=r"\[upstream\] replica is not a PostgreSQL database"):
        load(None, {"SKERRY_UPSTREAM_URL": UPSTREAM, "SKERRY_UPSTREAM_REPLICA": "sqlite:////skerry.db"})


def test_nothing_but_records_is_published() -> None:
    names = {table.name for table in PUBLISHED}

    assert names == {"images", "image_tags", "image_properties", "image_members", "tombstones", "counters"}
    assert all(name in publication() for name in names)


def test_a_subscription_has_a_name_that_a_slot_may_have_and_quotes_what_it_is_given() -> None:
    words = subscription("Lyon-3", "host=db password='it''s'", 'the "reader"')

    assert "CREATE SUBSCRIPTION skerry_lyon_3 CONNECTION 'host=db password=''it''''s'''" in words
    assert 'TO "the ""reader"""' in words
    assert "GRANT" not in subscription("lyon", "host=db", None)
