"""A client may say some things about a new image, and not others."""

from datetime import UTC, datetime
from typing import Any

import pytest

from skerry.core.attributes import Bounds
from skerry.core.creation import new_image
from skerry.core.errors import Forbidden, InvalidInput, TooLarge
from skerry.core.image import Image, Status, Visibility

BOUNDS = Bounds(properties=2, tags=2, disk_formats=("raw",), container_formats=("bare",))
NOW = datetime(2026, 1, 31, 12, 0, 0, 999, tzinfo=UTC)
NEW = "a7a1a5e0-0000-4000-8000-000000000001"
GIVEN = "B7A1A5E0-0000-4000-8000-000000000002"


def create(document: Any) -> Image:
    return new_image(document, owner="north", new_id=NEW, now=NOW, bounds=BOUNDS)


def test_an_empty_document_makes_a_queued_shared_image_of_the_callers_project() -> None:
    image = create({})
    assert (image.id, image.owner, image.status, image.visibility) == (
        NEW,
        "north",
        Status.QUEUED,
        Visibility.SHARED,
    )
    assert image.created_at == image.updated_at == NOW.replace(microsecond=0)


def test_a_given_id_and_every_settable_attribute_are_kept() -> None:
    image = create(
        {
            "id": GIVEN,
            "name": "one",
            "owner": "south",
            "visibility": "private",
            "disk_format": "raw",
            "container_format": "bare",
            "min_disk": 1,
            "min_ram": 2,
            "protected": True,
            "os_hidden": True,
            "tags": ["a", "a"],
            "hw_disk_bus": "scsi",
        }
    )
    assert (image.id, image.name, image.owner) == (GIVEN, "one", "south")
    assert (image.min_disk, image.min_ram, image.protected, image.os_hidden) == (1, 2, True, True)
    assert image.tags == {"a"}
    assert image.properties == {"hw_disk_bus": "scsi"}


@pytest.mark.parametrize("name", ["self", "file", "schema", "stores", "status", "size", "checksum"])
def test_read_only_attributes_are_refused(name: str) -> None:
    with pytest.raises(Forbidden, match=f"Attribute '{name}' is read-only."):
        create({name: "x"})


@pytest.mark.parametrize("name", ["location", "locations", "deleted", "os_glance_stage_host"])
def test_reserved_attributes_are_refused(name: str) -> None:
    with pytest.raises(Forbidden, match=f"Attribute '{name}' is reserved."):
        create({name: "x"})


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"id": "../../etc/passwd"},
        {"id": NEW + "\n"},
        {"id": None},
        {"name": 1},
        {"tags": "abc"},
        {"tags": ["x" * 256]},
        {"min_disk": 1 << 31},
        {"hw_disk_bus": None},
        {"": "x"},
        {"name": "a\0b"},
        {"tags": ["\0"]},
        {"a\0b": "x"},
        {"hw_disk_bus": "\0"},
    ],
)
def test_values_of_a_wrong_kind_are_refused(document: Any) -> None:
    with pytest.raises(InvalidInput):
        create(document)


@pytest.mark.parametrize("document", [{"a": "", "b": "", "c": ""}, {"tags": ["a", "b", "c"]}])
def test_there_are_limits(document: dict[str, Any]) -> None:
    with pytest.raises(TooLarge, match="Attempted: 3, Maximum: 2"):
        create(document)
