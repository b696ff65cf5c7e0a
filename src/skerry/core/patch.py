"""Changes to an image: JSON patch as Image API v2 takes it, in both media types.

Source: Image API v2 reference, appendix "HTTP PATCH media types". A patch is a value: parsed from the body
without looking at the image, shown to the policy, then applied to the image as it is at that moment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from skerry.core.attributes import (
    SETTABLE,
    Bounds,
    check_may_set,
    check_properties,
    check_tags,
    checked,
)
from skerry.core.errors import Conflict, Forbidden, InvalidInput, UnsupportedMedia
from skerry.core.image import Image, Status

Operation = Literal["add", "remove", "replace"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

V2_0 = "application/openstack-images-v2.0-json-patch"
V2_1 = "application/openstack-images-v2.1-json-patch"
MEDIA_TYPES = (V2_0, V2_1)

_FORMATS = frozenset({"disk_format", "container_format"})


@dataclass(frozen=True, slots=True)
class Change:
    """One operation on one attribute. `value` is checked, and None for a removal.

    `only_new`: an addition must not replace what is there (the older media type).
    """

    operation: Operation
    name: str
    value: Any = None
    only_new: bool = False


def check_media_type(media_type: str) -> None:
    """Raise UnsupportedMedia for a body that is no patch, before anybody reads it."""
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMedia(f"Image PATCH expects Content-Type one of: {', '.join(MEDIA_TYPES)}")


def parse(media_type: str, document: Any, bounds: Bounds) -> tuple[Change, ...]:
    """The changes that a request body asks for. Raises UnsupportedMedia, InvalidInput, Forbidden."""
    check_media_type(media_type)
    if not isinstance(document, list):
        raise InvalidInput("Request body must be a JSON array of operation objects.")
    return tuple(_change(media_type, item, bounds) for item in document)


def apply(image: Image, changes: Sequence[Change], *, as_admin: bool, bounds: Bounds) -> Image:
    """The image with all changes made, in order; none is made when one cannot be.

    Raises Forbidden, Conflict, TooLarge.
    """
    base: dict[str, Any] = {}
    properties = dict(image.properties)
    for change in changes:
        if change.name in SETTABLE:
            _check_base(image, change, as_admin)
            base[change.name] = change.value
        elif change.operation == "add":
            if change.only_new and change.name in properties:
                raise Conflict(f"Property {change.name} already present.", image=image.id)
            properties[change.name] = change.value
        elif change.name not in properties:
            raise Conflict(f"Property {change.name} does not exist.", image=image.id)
        elif change.operation == "replace":
            properties[change.name] = change.value
        else:
            del properties[change.name]
    if "tags" in base:
        check_tags(base["tags"], bounds)
    if properties.keys() - image.properties.keys():
        check_properties(properties, bounds)
    return replace(image, **base, properties=MappingProxyType(properties))


def _check_base(image: Image, change: Change, as_admin: bool) -> None:
    """Base attributes are always present; some change only at certain times or by certain callers."""
    if change.operation == "remove":
        raise Forbidden(f"Property {change.name} may not be removed.", image=image.id)
    if change.operation == "add" and change.only_new:
        raise Conflict(f"Property {change.name} already present.", image=image.id)
    if change.name == "owner" and not as_admin:
        raise Forbidden("Owner can't be updated by non admin.", image=image.id)
    if change.name in _FORMATS and image.status not in (Status.QUEUED, Status.IMPORTING):
        raise Forbidden(f"Attribute {change.name} can be only replaced for a queued image.", image=image.id)


def _change(media_type: str, item: Any, bounds: Bounds) -> Change:
    if not isinstance(item, dict):
        raise InvalidInput("Operations must be JSON objects.")
    operation, pointer = _operation_v2_0(item) if media_type == V2_0 else _operation_v2_1(item)
    name = _attribute(pointer)
    if name == "id":
        raise Forbidden("Attribute 'id' is read-only.")
    check_may_set(name)
    if operation == "remove":
        return Change(operation, name)
    if "value" not in item:
        raise InvalidInput(f'Operation "{operation}" requires a member named "value".')
    value = checked({name: item["value"]}, bounds)[name]
    return Change(operation, name, value, only_new=media_type == V2_0)


def _operation_v2_0(item: dict[str, Any]) -> tuple[Operation, Any]:
    """The older form: `{"replace": "/name", "value": "x"}`."""
    found = [operation for operation in OPERATIONS if operation in item]
    if len(found) != 1:
        raise InvalidInput(
            'Operation objects must contain exactly one member named "add", "remove", or "replace".'
        )
    return found[0], item[found[0]]


def _operation_v2_1(item: dict[str, Any]) -> tuple[Operation, Any]:
    """RFC 6902's form: `{"op": "replace", "path": "/name", "value": "x"}`."""
    known = f"It must be one of the following: {', '.join(OPERATIONS)}."
    if item.get("op") is None:
        raise InvalidInput(f"Unable to find `op` in JSON Schema change. {known}")
    if item["op"] not in OPERATIONS:
        raise InvalidInput(f"Invalid operation: `{item['op']!s:.100}`. {known}")
    if "path" not in item:
        raise InvalidInput("Unable to find 'path' in JSON Schema change")
    return item["op"], item["path"]


def _attribute(pointer: Any) -> str:
    """The attribute that a JSON pointer (RFC 6901) names; an image has one level only."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise InvalidInput(f'Pointer `{pointer!s:.255}` does not start with "/".')
    if re.search(r"~(?![01])", pointer):
        raise InvalidInput(f'Pointer `{pointer:.255}` contains "~" not part of a recognized escape sequence.')
    root, *rest = pointer[1:].split("/")
    name = root.replace("~1", "/").replace("~0", "~").strip()
    if name == "locations":
        raise Forbidden("It's not allowed to update locations if locations are invisible.")
    if rest or not name:
        raise InvalidInput(f"Invalid JSON pointer for this resource: '{pointer:.255}'")
    return name
