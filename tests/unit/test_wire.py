"""What is said on the wire is understood on the wire."""

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.image import Image, Member, MemberStatus, Status, Visibility
from skerry.core.wire import (
    ATTRIBUTES,
    LINKS,
    image_from_wire,
    image_to_wire,
    member_from_wire,
    member_to_wire,
    time_from_wire,
)

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
NAMES = st.text(CHARACTERS, min_size=1, max_size=20).filter(lambda name: name not in ATTRIBUTES | LINKS)
TIMES = st.datetimes(datetime(1000, 1, 1), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=0)
)
TEXT = st.none() | st.text(CHARACTERS, max_size=20)
NUMBER = st.none() | st.integers(0, 1 << 62)
IMAGES = st.builds(
    Image,
    id=st.uuids().map(str),
    created_at=TIMES,
    updated_at=TIMES,
    name=TEXT,
    status=st.sampled_from(Status),
    visibility=st.sampled_from(Visibility),
    owner=TEXT,
    disk_format=TEXT,
    container_format=TEXT,
    min_disk=st.integers(0, 1 << 31),
    min_ram=st.integers(0, 1 << 31),
    size=NUMBER,
    virtual_size=NUMBER,
    checksum=TEXT,
    os_hash_algo=TEXT,
    os_hash_value=TEXT,
    os_hidden=st.booleans(),
    protected=st.booleans(),
    tags=st.frozensets(st.text(CHARACTERS, max_size=20)),
    properties=st.dictionaries(NAMES, st.text(CHARACTERS, max_size=20)).map(MappingProxyType),
)
MEMBERS = st.builds(
    Member,
    image_id=st.uuids().map(str),
    project_id=st.text(CHARACTERS, max_size=255),
    status=st.sampled_from(MemberStatus),
    created_at=TIMES,
    updated_at=TIMES,
)


@given(IMAGES)
def test_an_image_survives_the_way_over_the_wire(image: Image) -> None:
    assert image_from_wire(image_to_wire(image)) == image


@given(MEMBERS)
def test_a_member_survives_the_way_over_the_wire(member: Member) -> None:
    assert member_from_wire(member_to_wire(member)) == member


NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
IMAGE = Image(id="a7a1a5e0-0000-4000-8000-000000000001", created_at=NOW, updated_at=NOW)


def test_a_property_without_a_value_is_shown_as_empty_text() -> None:
    image = replace(IMAGE, properties={"hw_note": None})
    assert image_to_wire(image)["hw_note"] == ""


def test_the_links_of_another_site_are_no_properties() -> None:
    document = {**image_to_wire(IMAGE), "stores": "fast", "direct_url": "file:///x", "locations": []}
    assert image_from_wire(document).properties == {}


@pytest.mark.parametrize("status", ["pending_delete", "killed"])
def test_an_image_that_glance_is_about_to_remove_is_deleted_for_us(status: str) -> None:
    assert image_from_wire({**image_to_wire(IMAGE), "status": status}).status is Status.DELETED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", None),
        ("id", "../../etc/passwd"),
        ("name", "a\0b"),
        ("name", "a" * 256),
        ("disk_format", "a" * 21),
        ("size", "12"),
        ("size", -1),
        ("min_disk", 1 << 63),
        ("size", True),
        ("status", "half"),
        ("visibility", "all"),
        ("created_at", "yesterday"),
        ("created_at", "0001-01-01T00:00:00+14:00"),
        ("tags", "abc"),
        ("tags", [1]),
        ("tags", ["\0"]),
        ("hw\0", "value"),
        ("hw_custom", "a" * 65536),
        ("protected", "no"),
        ("hw_custom", {"nested": 1}),
    ],
)
def test_what_is_no_image_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError):
        image_from_wire({**image_to_wire(IMAGE), name: value})


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.25", "2026-01-31T14:00:00+02:00"]
)
def test_times_are_read_in_each_form_that_image_services_write(text: str) -> None:
    assert time_from_wire(text) == NOW
