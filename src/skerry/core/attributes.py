"""Which attributes of an image a client may set, and to what. Source: Glance's image schema and quotas."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from skerry.core.errors import Forbidden, InvalidInput, TooLarge
from skerry.core.image import Visibility

READ_ONLY = frozenset(
    {
        "created_at", "updated_at", "status", "size", "virtual_size", "checksum", "os_hash_algo",
        "os_hash_value", "self", "file", "schema", "direct_url", "stores",
    }
)  # fmt: skip
RESERVED = frozenset({"location", "locations", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance"

_TEXT = r"^[^\0]*\Z"
_Text = Annotated[str, Meta(max_length=255, pattern=_TEXT)]
_Count = Annotated[int, Meta(ge=0, lt=1 << 31)]
_UUID = r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z"
_VALUE_LENGTH = 65535


class _Base(msgspec.Struct):
    """The base attributes that a client may set; `id` only when it creates."""

    id: Annotated[str, Meta(pattern=_UUID)] | UnsetType = UNSET
    name: _Text | UnsetType | None = UNSET
    visibility: Visibility | UnsetType = UNSET
    owner: _Text | UnsetType | None = UNSET
    protected: bool | UnsetType = UNSET
    os_hidden: bool | UnsetType = UNSET
    disk_format: str | UnsetType | None = UNSET
    container_format: str | UnsetType | None = UNSET
    min_disk: _Count | UnsetType = UNSET
    min_ram: _Count | UnsetType = UNSET
    tags: frozenset[_Text] | UnsetType = UNSET


SETTABLE = frozenset(_Base.__struct_fields__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much an image may carry at this site, and which formats it may have."""

    properties: int
    tags: int
    disk_formats: tuple[str, ...]
    container_formats: tuple[str, ...]


def check_may_set(name: str) -> None:
    """Raise Forbidden when the attribute is not for clients to set."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def checked(values: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    """The values, base attributes in the types of `Image`, custom properties as they are.

    Raises InvalidInput, in the words of Glance's schema check, for a value of a wrong type or size.
    """
    try:
        base = msgspec.convert({name: values[name] for name in SETTABLE & values.keys()}, _Base)
    except msgspec.ValidationError as error:
        raise _mismatch(str(error)) from None
    for name, formats in (
        ("disk_format", bounds.disk_formats),
        ("container_format", bounds.container_formats),
    ):
        value = getattr(base, name)
        if value is not UNSET and value is not None and value not in formats:
            raise _mismatch(f"{value!r} is not one of {', '.join(formats)} - at `$.{name}`")
    result = {name: getattr(base, name) for name in SETTABLE & values.keys()}
    for name, value in values.items():
        if name in SETTABLE:
            continue
        if not isinstance(value, str):
            raise _mismatch(f"Expected `str` - at `$.{name:.255}`")
        if not 0 < len(name) <= 255:
            raise InvalidInput("Custom property should not be greater than 255 characters.")
        if "\0" in name + value:
            raise InvalidInput("A custom property holds a NUL character, which is no text.")
        if len(value) > _VALUE_LENGTH:
            raise InvalidInput(f"Property {name} is longer than {_VALUE_LENGTH} characters.")
        result[name] = value
    return result


def check_tags(tags: frozenset[str], bounds: Bounds) -> None:
    """Raise TooLarge when there are too many tags."""
    _check_count("tags", len(tags), bounds.tags)


def check_properties(names: Iterable[str], bounds: Bounds) -> None:
    """Raise TooLarge when there are too many custom properties."""
    count = sum(not name.startswith(RESERVED_PREFIX) for name in names)
    _check_count("properties", count, bounds.properties)


def _check_count(what: str, attempted: int, maximum: int) -> None:
    if attempted > maximum:
        raise TooLarge(
            f"The limit has been exceeded on the number of allowed image {what}. "
            f"Attempted: {attempted}, Maximum: {maximum}"
        )


def _mismatch(reason: str) -> InvalidInput:
    return InvalidInput(f"Provided object does not match schema 'image': {reason}")
