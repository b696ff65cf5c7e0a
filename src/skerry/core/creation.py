"""From what a client sends to a new image. Source: Image API v2 reference, "Create image"."""

from datetime import datetime
from types import MappingProxyType
from typing import Any

from skerry.core.attributes import (
    SETTABLE,
    Bounds,
    check_may_set,
    check_properties,
    check_tags,
    checked,
)
from skerry.core.errors import InvalidInput
from skerry.core.image import Image


def new_image(document: Any, *, owner: str | None, new_id: str, now: datetime, bounds: Bounds) -> Image:
    """The queued image that `document` asks for; `owner` and `new_id` are used where it names none.

    Raises InvalidInput, Forbidden (read-only and reserved attributes), TooLarge. Whether the caller may
    create it is the policy's to say.
    """
    if not isinstance(document, dict):
        raise InvalidInput("Provided object does not match schema 'image': expected a JSON object.")
    for name in document:
        check_may_set(name)
    values = checked(document, bounds)
    properties = {name: value for name, value in values.items() if name not in SETTABLE}
    check_properties(properties, bounds)
    check_tags(values.get("tags", frozenset()), bounds)
    base = {"id": new_id, "owner": owner} | {
        name: value for name, value in values.items() if name in SETTABLE
    }
    now = now.replace(microsecond=0)
    return Image(**base, created_at=now, updated_at=now, properties=MappingProxyType(properties))
