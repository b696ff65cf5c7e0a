"""The schema that clients are given and the rules that their requests meet say the same."""

from typing import Any

import pytest
from jsonschema import Draft4Validator

from skerry.api.image import schemas
from skerry.config import FormatsSection
from skerry.core.attributes import READ_ONLY, RESERVED, SETTABLE, Bounds, checked
from skerry.core.errors import InvalidInput
from skerry.core.wire import ATTRIBUTES, LINKS

FORMATS = FormatsSection()
SCHEMA = schemas.image(FORMATS)
BOUNDS = Bounds(128, 128, FORMATS.disk, FORMATS.container)


def test_the_schema_names_every_attribute_of_the_wire() -> None:
    assert set(SCHEMA["properties"]) == ATTRIBUTES | LINKS


def test_what_the_schema_calls_read_only_cannot_be_set() -> None:
    read_only = {name for name, rule in SCHEMA["properties"].items() if rule.get("readOnly")}
    assert read_only == READ_ONLY
    assert set(SCHEMA["properties"]) - read_only - RESERVED == SETTABLE


VALUES: list[Any] = [
    None,
    True,
    0,
    7,
    "",
    "raw",
    "bare",
    "public",
    "all",
    "x" * 255,
    "x" * 256,
    [],
    ["a"],
    [1],
]
VALUES += [["x" * 256], {}, "a7a1a5e0-0000-4000-8000-000000000001", "A7A1A5E0-0000-4000-8000-00000000000"]


@pytest.mark.parametrize("name", [*sorted(SETTABLE), "os_distro"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_value_is_valid_by_the_schema_exactly_when_it_is_taken(name: str, value: Any) -> None:
    valid = Draft4Validator(SCHEMA).is_valid({name: value})
    try:
        checked({name: value}, BOUNDS)
    except InvalidInput:
        taken = False
    else:
        taken = True
    assert taken == valid
