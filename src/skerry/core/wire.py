"""An image and its members on the wire: Image API v2's JSON, in both directions.

What a site answers and what it understands of its upstream's answers is said here and nowhere else.
Source: Image API v2 reference, "Show image" and "Show image member details".
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from skerry.core.image import Image, Member, MemberStatus, Status, Visibility

LINKS = frozenset({"self", "file", "schema", "direct_url", "locations", "stores"})
"""Keys of the wire that say where something is; they differ from site to site and belong to no image."""

ATTRIBUTES = frozenset(field.name for field in fields(Image)) - {"properties", "revision", "home", "index"}
"""The base attributes; every other key that is not a link is a custom property."""


def time_to_wire(time: datetime) -> str:
    """A UTC time as `2026-01-31T12:00:00Z`."""
    return f"{time:%Y-%m-%dT%H:%M:%S}Z"


def time_from_wire(text: str) -> datetime:
    """Undo `time_to_wire`; also takes fractions (dropped) and offsets. Raises ValueError."""
    time = datetime.fromisoformat(text).replace(microsecond=0)
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text} is before or after all times") from None


def image_to_wire(image: Image) -> dict[str, Any]:
    """The JSON object of an image. A property without a value is "" there, as Glance shows it."""
    path = f"/v2/images/{image.id}"
    return {
        **{name: "" if value is None else value for name, value in image.properties.items()},
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "visibility": image.visibility.value,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "status": image.status.value,
        "checksum": image.checksum,
        "protected": image.protected,
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "owner": image.owner,
        "os_hidden": image.os_hidden,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "id": image.id,
        "created_at": time_to_wire(image.created_at),
        "updated_at": time_to_wire(image.updated_at),
        "tags": sorted(image.tags),
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }


def image_from_wire(document: Mapping[str, Any]) -> Image:
    """The image that another image service tells of; links are left out, the revision is 0.

    Raises ValueError when it is no image of Image API v2: nothing that a peer sends is believed unchecked.
    """
    tags = _get(document, "tags", list, [])
    properties = {
        name: _get(document, name, str, None)
        for name in document
        if name not in ATTRIBUTES and name not in LINKS
    }
    if not all(isinstance(tag, str) and _is_text(tag, 255) for tag in tags):
        raise ValueError("tags: expected a list of strings, each of 255 characters at most")
    if not all(_is_text(name, 255) for name in properties):
        raise ValueError("properties: expected names of 255 characters at most")
    image_id = _get(document, "id", str)
    if not _ID.fullmatch(image_id):
        raise ValueError(f"id: expected a UUID, got {image_id!r:.100}")
    return Image(
        id=image_id,
        created_at=time_from_wire(_get(document, "created_at", str)),
        updated_at=time_from_wire(_get(document, "updated_at", str)),
        name=_get(document, "name", str, None),
        status=_status(_get(document, "status", str)),
        visibility=Visibility(_get(document, "visibility", str)),
        owner=_get(document, "owner", str, None),
        disk_format=_get(document, "disk_format", str, None),
        container_format=_get(document, "container_format", str, None),
        min_disk=_get(document, "min_disk", int, 0),
        min_ram=_get(document, "min_ram", int, 0),
        size=_get(document, "size", int, None),
        virtual_size=_get(document, "virtual_size", int, None),
        checksum=_get(document, "checksum", str, None),
        os_hash_algo=_get(document, "os_hash_algo", str, None),
        os_hash_value=_get(document, "os_hash_value", str, None),
        os_hidden=_get(document, "os_hidden", bool, False),
        protected=_get(document, "protected", bool, False),
        tags=frozenset(tags),
        properties=MappingProxyType(properties),
    )


def member_to_wire(member: Member) -> dict[str, Any]:
    """The JSON object of a member."""
    return {
        "image_id": member.image_id,
        "member_id": member.project_id,
        "status": member.status.value,
        "created_at": time_to_wire(member.created_at),
        "updated_at": time_to_wire(member.updated_at),
        "schema": "/v2/schemas/member",
    }


def member_from_wire(document: Mapping[str, Any]) -> Member:
    """The member that another image service tells of. Raises ValueError."""
    return Member(
        image_id=_get(document, "image_id", str),
        project_id=_get(document, "member_id", str),
        status=MemberStatus(_get(document, "status", str)),
        created_at=time_from_wire(_get(document, "created_at", str)),
        updated_at=time_from_wire(_get(document, "updated_at", str)),
    )


def check_property(name: str, value: Any) -> None:
    """Raise ValueError unless a property of this name and value can be kept; None is no value."""
    if not _is_text(name, 255):
        raise ValueError("properties: expected names of 255 characters at most")
    _get({name: value}, name, str, None)


_REQUIRED = object()
_VALUE = 65535
_LONGEST = dict.fromkeys(ATTRIBUTES | {"member_id"}, 255) | {
    "disk_format": 20, "container_format": 20, "checksum": 32, "os_hash_algo": 64, "os_hash_value": 128,
}  # fmt: skip
"""Characters of a text: Glance's limits, which the catalogue can keep."""
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _get(document: Mapping[str, Any], name: str, kind: type, default: Any = _REQUIRED) -> Any:
    """The value of a key, of type `kind`; absent or null gives `default`, if one is given."""
    value = document.get(name)
    if value is None and default is not _REQUIRED:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name}: expected {kind.__name__}, got {value!r:.100}")
    if isinstance(value, str) and not _is_text(value, _LONGEST.get(name, _VALUE)):
        raise ValueError(f"{name}: {value!r:.100} cannot be kept")
    if isinstance(value, int) and not 0 <= value < 1 << 63:
        raise ValueError(f"{name}: {value!r:.100} is no size of anything")
    return value


def _is_text(value: str, longest: int) -> bool:
    return len(value) <= longest and "\0" not in value


def _status(text: str) -> Status:
    """Glance's two statuses that Skerry has no use for mean that the image is gone."""
    return Status.DELETED if text in ("pending_delete", "killed") else Status(text)
