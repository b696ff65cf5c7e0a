"""An image in an entry comes out as it went in."""

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.feed.documents import image_from_document, image_to_document
from skerry.core.image import Image, Member, MemberStatus, Status, Visibility

TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=0)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
SIZES = st.none() | st.integers(0, (1 << 63) - 1)
IMAGES = st.builds(
    Image,
    id=st.uuids().map(str),
    created_at=TIMES,
    updated_at=TIMES,
    name=st.none() | TEXT,
    status=st.sampled_from(Status),
    visibility=st.sampled_from(Visibility),
    owner=st.none() | TEXT,
    disk_format=st.none() | st.just("qcow2"),
    container_format=st.none() | st.just("bare"),
    min_disk=st.integers(0, 1000),
    min_ram=st.integers(0, 1000),
    size=SIZES,
    virtual_size=SIZES,
    checksum=st.none() | st.just("0" * 32),
    os_hash_algo=st.none() | st.just("sha512"),
    os_hash_value=st.none() | st.just("a" * 128),
    os_hidden=st.booleans(),
    protected=st.booleans(),
    tags=st.frozensets(TEXT, max_size=4),
    properties=st.dictionaries(TEXT, st.none() | TEXT, max_size=5).map(MappingProxyType),
)
IMAGE = Image(str(UUID(int=1)), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


@given(
    image=IMAGES,
    projects=st.lists(TEXT, max_size=3, unique=True),
    time=TIMES,
    status=st.sampled_from(MemberStatus),
)
def test_an_image_and_its_members_come_out_as_they_went_in(
    image: Image, projects: list[str], time: datetime, status: MemberStatus
) -> None:
    members = tuple(Member(image.id, project, status, time, time) for project in sorted(projects))
    travelled = msgspec.json.decode(msgspec.json.encode(image_to_document(image, members)))
    assert image_from_document(travelled) == (image, members)


def test_what_a_later_version_says_beyond_this_one_is_passed_over() -> None:
    document = image_to_document(
        IMAGE, (Member(IMAGE.id, "p", MemberStatus.PENDING, IMAGE.created_at, IMAGE.created_at),)
    )
    later: dict[str, Any] = {**document, "likeness": "sha256:…"}
    later["image"] = {**document["image"], "os_secret": {"a": 1}}
    later["members"] = [{**document["members"][0], "rights": "r"}]
    assert image_from_document(later) == image_from_document(document)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("image", None),
        ("image", {}),
        ("properties", []),
        ("properties", {"a": 1}),
        ("properties", {"a" * 256: "b"}),
        ("properties", {"a": "b\0"}),
        ("members", {}),
        ("members", ["p"]),
        ("members", [{"member_id": "p", "status": "odd"}]),
        ("image", image_to_document(replace(IMAGE, min_disk=1 << 31), ())["image"]),
        ("image", {**image_to_document(IMAGE, ())["image"], "status": "dreaming"}),
    ],
)
def test_nonsense_is_refused(part: str, value: Any) -> None:
    with pytest.raises(ValueError):
        image_from_document({**image_to_document(IMAGE, ()), part: value})
