"""A patch is parsed without the image, and applied to it whole or not at all."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.attributes import Bounds
from skerry.core.errors import Conflict, Forbidden, InvalidInput, SkerryError, TooLarge, UnsupportedMedia
from skerry.core.image import Image, Status, Visibility
from skerry.core.patch import V2_0, V2_1, apply, parse

BOUNDS = Bounds(properties=3, tags=2, disk_formats=("raw", "qcow2"), container_formats=("bare",))
NOW = datetime(2026, 1, 31, tzinfo=UTC)
IMAGE = Image(
    id="a7a1a5e0-0000-4000-8000-000000000001",
    created_at=NOW,
    updated_at=NOW,
    name="old",
    owner="north",
    properties=MappingProxyType({"os_distro": "debian"}),
)


def patched(
    *operations: dict[str, Any], image: Image = IMAGE, admin: bool = False, media: str = V2_1
) -> Image:
    return apply(image, parse(media, list(operations), BOUNDS), as_admin=admin, bounds=BOUNDS)


def replacing(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


@pytest.mark.parametrize(
    ("path", "value", "attribute", "expected"),
    [
        ("/name", "new", "name", "new"),
        ("/name", None, "name", None),
        ("/visibility", "community", "visibility", Visibility.COMMUNITY),
        ("/protected", True, "protected", True),
        ("/os_hidden", True, "os_hidden", True),
        ("/min_ram", 512, "min_ram", 512),
        ("/disk_format", "qcow2", "disk_format", "qcow2"),
        ("/tags", ["a", "b", "a"], "tags", frozenset({"a", "b"})),
    ],
)
def test_base_attributes_are_replaced_and_added_alike(
    path: str, value: Any, attribute: str, expected: Any
) -> None:
    for operation in ("replace", "add"):
        image = patched({"op": operation, "path": path, "value": value})
        assert getattr(image, attribute) == expected


def test_properties_are_added_replaced_and_removed_in_order() -> None:
    image = patched(
        {"op": "add", "path": "/hw_disk_bus", "value": "scsi"},
        replacing("/hw_disk_bus", "virtio"),
        {"op": "remove", "path": "/os_distro"},
    )
    assert image.properties == {"hw_disk_bus": "virtio"}


def test_a_pointer_may_name_a_property_with_slash_and_tilde() -> None:
    image = patched({"op": "add", "path": "/a~1b~0c", "value": "x"})
    assert image.properties["a/b~c"] == "x"


def test_the_older_media_type_names_the_attribute_in_the_operation() -> None:
    image = patched({"replace": "/name", "value": "new"}, {"remove": "/os_distro"}, media=V2_0)
    assert (image.name, image.properties) == ("new", {})


@pytest.mark.parametrize("path", ["/os_distro", "/name"])
def test_the_older_media_type_adds_only_what_is_not_there(path: str) -> None:
    with pytest.raises(Conflict, match="already present"):
        patched({"add": path, "value": "x"}, media=V2_0)
    assert patched({"op": "add", "path": path, "value": "x"}) != IMAGE


@pytest.mark.parametrize("operation", ["replace", "remove"])
def test_a_property_that_is_not_there_can_be_neither_replaced_nor_removed(operation: str) -> None:
    with pytest.raises(Conflict, match=r"Property nothing does not exist\."):
        patched({"op": operation, "path": "/nothing", "value": "x"})


def test_base_attributes_cannot_be_removed() -> None:
    with pytest.raises(Forbidden, match=r"Property name may not be removed\."):
        patched({"op": "remove", "path": "/name"})


@pytest.mark.parametrize(
    "name", ["id", "status", "size", "checksum", "os_hash_value", "created_at", "self", "stores"]
)
def test_read_only_attributes_are_refused(name: str) -> None:
    with pytest.raises(Forbidden, match=f"Attribute '{name}' is read-only."):
        patched(replacing(f"/{name}", "x"))


@pytest.mark.parametrize("name", ["location", "deleted", "deleted_at", "os_glance_import_task"])
def test_reserved_attributes_are_refused(name: str) -> None:
    with pytest.raises(Forbidden, match=f"Attribute '{name}' is reserved."):
        patched({"op": "add", "path": f"/{name}", "value": "x"})


@pytest.mark.parametrize("path", ["/locations", "/locations/-"])
def test_locations_are_not_shown_and_not_changed(path: str) -> None:
    with pytest.raises(Forbidden, match="locations are invisible"):
        patched({"op": "add", "path": path, "value": {"url": "file:///etc/passwd", "metadata": {}}})


def test_only_an_administrator_gives_an_image_to_another_project() -> None:
    with pytest.raises(Forbidden, match="Owner can't be updated by non admin"):
        patched(replacing("/owner", "south"))
    assert patched(replacing("/owner", "south"), admin=True).owner == "south"


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.SAVING, Status.DEACTIVATED])
def test_formats_are_settled_once_there_are_bytes(status: Status) -> None:
    with pytest.raises(Forbidden, match="can be only replaced for a queued image"):
        patched(replacing("/disk_format", "raw"), image=replace(IMAGE, status=status))


@pytest.mark.parametrize(
    "body",
    [
        {},
        ["x"],
        [{"op": "move", "path": "/name", "value": "x"}],
        [{"op": ["add"], "path": "/name", "value": "x"}],
        [{"path": "/name", "value": "x"}],
        [{"op": "replace", "value": "x"}],
        [{"op": "replace", "path": "/name"}],
        [{"op": "replace", "path": "name", "value": "x"}],
        [{"op": "replace", "path": 7, "value": "x"}],
        [{"op": "replace", "path": "/", "value": "x"}],
        [{"op": "replace", "path": "//name", "value": "x"}],
        [{"op": "replace", "path": "/name/", "value": "x"}],
        [{"op": "add", "path": "/tags/-", "value": "x"}],
        [{"op": "add", "path": "/a~2", "value": "x"}],
        [{"op": "add", "path": "/a~", "value": "x"}],
        [{"op": "replace", "path": "/name", "value": 7}],
        [{"op": "replace", "path": "/name", "value": "x" * 256}],
        [{"op": "replace", "path": "/protected", "value": "true"}],
        [{"op": "replace", "path": "/min_disk", "value": -1}],
        [{"op": "replace", "path": "/min_disk", "value": True}],
        [{"op": "replace", "path": "/disk_format", "value": "floppy"}],
        [{"op": "replace", "path": "/visibility", "value": "all"}],
        [{"op": "add", "path": "/" + "x" * 256, "value": "x"}],
        [{"op": "add", "path": "/x", "value": {"nested": "x"}}],
        [{"op": "add", "path": "/x", "value": None}],
        [{"op": "add", "path": "/x", "value": "x" * 65536}],
    ],
)
def test_what_is_no_patch_is_refused(body: Any) -> None:
    with pytest.raises(InvalidInput):
        parse(V2_1, body, BOUNDS)


@pytest.mark.parametrize(
    "item", [{}, {"value": "x"}, {"add": "/x", "replace": "/x", "value": "x"}, {"op": "add", "path": "/x"}]
)
def test_the_older_media_type_takes_exactly_one_operation_an_object(item: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="exactly one member"):
        parse(V2_0, [item], BOUNDS)


def test_another_media_type_is_refused_and_the_right_ones_are_named() -> None:
    with pytest.raises(UnsupportedMedia, match=V2_1):
        parse("application/json", [], BOUNDS)


def test_there_are_limits_on_what_is_new_but_not_on_what_is_there() -> None:
    full = replace(IMAGE, properties=MappingProxyType({f"p{n}": "x" for n in range(4)}))
    assert patched(replacing("/p0", "y"), image=full).properties["p0"] == "y"
    with pytest.raises(TooLarge, match=r"image properties\. Attempted: 5, Maximum: 3"):
        patched({"op": "add", "path": "/p4", "value": "x"}, image=full)
    with pytest.raises(TooLarge, match=r"image tags\. Attempted: 3, Maximum: 2"):
        patched(replacing("/tags", ["a", "b", "c"]))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "remove", "replace", "test"]) | ANYTHING,
        "path": st.sampled_from(["/name", "/tags", "/owner", "/status", "/x"]) | ANYTHING,
        "add": st.sampled_from(["/name", "/x"]) | ANYTHING,
        "value": ANYTHING,
    },
)


@given(st.sampled_from([V2_0, V2_1]), st.lists(OPERATIONS | ANYTHING, max_size=4))
def test_whatever_comes_is_refused_or_changes_only_what_may_change(media: str, body: list[Any]) -> None:
    with suppress(SkerryError):
        image = apply(IMAGE, parse(media, body, BOUNDS), as_admin=False, bounds=BOUNDS)
        assert (image.id, image.status, image.owner) == (IMAGE.id, IMAGE.status, IMAGE.owner)
