"""An image and its members as the body of an entry, in both directions, without loss.

    {"image": {"id": …, "name": …}, "properties": {"os_distro": "debian"}, "members": [{"member_id": …}],
     "index": "5f1c…"}

The attributes are written as in `core.wire`. Properties are apart, so that an attribute which a later version
adds is not taken for one. What is not known here is passed over: the signed text travels on as it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from skerry.core.image import Image, Member
from skerry.core.wire import (
    ATTRIBUTES,
    check_property,
    image_from_wire,
    image_to_wire,
    member_from_wire,
    member_to_wire,
)

_DIGEST = re.compile("[0-9a-f]{64}")

_INTEGER = 1 << 31
"""What min_disk and min_ram stay below."""


def image_to_document(image: Image, members: Sequence[Member]) -> dict[str, Any]:
    """The body of the entry of an image; `revision` and `home` are said by the entry itself."""
    wire = image_to_wire(replace(image, properties={}))
    return {
        "image": {name: value for name, value in wire.items() if name in ATTRIBUTES},
        "properties": dict(image.properties),
        "members": [_member(member) for member in members],
        **({"index": image.index} if image.index else {}),
    }


def image_from_document(document: Mapping[str, Any]) -> tuple[Image, tuple[Member, ...]]:
    """Undo `image_to_document`. Raises ValueError; nothing that another site says is believed unchecked."""
    attributes, properties = _part(document, "image", dict), _part(document, "properties", dict)
    image = image_from_wire({name: value for name, value in attributes.items() if name in ATTRIBUTES})
    for name, value in properties.items():
        check_property(name, value)
    if image.min_disk >= _INTEGER or image.min_ram >= _INTEGER:
        raise ValueError(f"min_disk or min_ram of image {image.id} is out of bounds")
    index = document.get("index")
    if index is not None and not (isinstance(index, str) and _DIGEST.fullmatch(index)):
        raise ValueError(f"index: expected a SHA-256 in hex, got {index!r:.100}")
    members = {}
    for one in _part(document, "members", list):
        if not isinstance(one, dict):
            raise ValueError(f"no member: {one!r:.100}")
        member = member_from_wire({**one, "image_id": image.id})
        members[member.project_id] = member
    ordered = sorted(members.values(), key=lambda member: (member.created_at, member.project_id))
    return replace(image, properties=MappingProxyType(properties), index=index), tuple(ordered)


def _member(member: Member) -> dict[str, Any]:
    wire = member_to_wire(member)
    del wire["image_id"], wire["schema"]
    return wire


def _part(document: Mapping[str, Any], name: str, kind: type) -> Any:
    value = document.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"{name}: expected {kind.__name__}, got {value!r:.100}")
    return value
