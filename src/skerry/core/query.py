"""What a list of images may be asked for: Glance's filters, sorting and paging, as a value.

Parsing (`parse`) is here; `catalog.selection` turns a Query into SQL.
Source: Image API v2 reference, "List images".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from multidict import MultiMapping

from skerry.core.errors import InvalidInput
from skerry.core.image import MemberStatus, Visibility


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose eyes a list is seen with: Glance's rules for a project, or all of it for an administrator.

    Without a `visibility` filter a project lists its own images, public ones, and those shared with it and
    accepted; community images only when asked for.
    """

    project_id: str | None
    is_admin: bool


@dataclass(frozen=True, slots=True)
class Query:
    """One list request. Empty fields select everything."""

    equal: Mapping[str, tuple[str, ...]] = field(hash=False)
    """Base attributes, each to be one of the values: id, name, status, owner, formats, checksum, size ..."""
    properties: Mapping[str, str] = field(hash=False)
    """Custom properties, each to be equal."""
    tags: frozenset[str] = frozenset()
    """All of these."""
    times: tuple[tuple[str, str, datetime], ...] = ()
    """(created_at or updated_at, one of gt gte eq neq lt lte, time)."""
    size_min: int | None = None
    size_max: int | None = None
    visibility: Visibility | None = None
    """None: Glance's default listing; `every_visibility` says `visibility=all`."""
    every_visibility: bool = False
    member_status: MemberStatus | None = MemberStatus.ACCEPTED
    """For shared images of others; None is `all`."""
    hidden: bool | None = False
    """`os_hidden`; None selects both."""
    protected: bool | None = None
    sort: tuple[tuple[str, bool], ...] = (("created_at", False),)
    """(attribute, ascending); ties are broken by created_at and id, descending unless given.

    `parse` always gives these two, in the directions that Glance chooses.
    """
    limit: int = 25
    marker: str | None = None


SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
COMPARISONS = ("gt", "gte", "eq", "neq", "lt", "lte")

_LISTS = ("id", "name", "status", "container_format", "disk_format")
_EXACT = ("checksum", "os_hash_algo", "os_hash_value", "owner")
_NUMBERS = ("size", "virtual_size", "min_disk", "min_ram")
_TIMES = ("created_at", "updated_at")
_OTHERS = (
    "sort", "sort_key", "sort_dir", "limit", "marker", "tag", "visibility", "member_status", "os_hidden",
    "protected", "size_min", "size_max", "deleted", "changes-since",
)  # fmt: skip
_LARGEST = (1 << 63) - 1
_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)",?|([^,]+),?|,')


def parse(params: MultiMapping[str], *, default_limit: int = 25, most: int = 1000) -> Query:
    """Read the query string of a list request. Raises InvalidInput, in Glance's words where it has any.

    A parameter given twice counts once, with its last value, but for `tag` and the sort keys. What is no
    attribute of every image is looked for among the custom properties.
    """
    given = {name: params.getall(name)[-1] for name in params}
    for name, value in given.items():
        _check_text(name)
        _check_text(value)
    if given.get("changes-since"):
        raise InvalidInput('The "changes-since" filter is no longer available on v2.')
    visibility = given.get("visibility") or None
    return Query(
        equal=dict(_equal(given)),
        properties={name: value for name, value in given.items() if _is_property(name)},
        tags=frozenset(tag.strip() for tag in params.getall("tag", ())),
        times=tuple(_time(name, given[name]) for name in _TIMES if name in given),
        size_min=_number("size_min", given),
        size_max=_number("size_max", given),
        visibility=_visibility(visibility) if visibility not in (None, "all") else None,
        every_visibility=visibility == "all",
        member_status=_member_status(given.get("member_status", "accepted")),
        hidden=_truth("os_hidden", given.get("os_hidden", "false").lower()),
        protected=_truth("protected", given["protected"]) if "protected" in given else None,
        sort=_sort(params),
        limit=min(_limit(given["limit"]), most) if "limit" in given else min(default_limit, most),
        marker=given.get("marker"),
    )


def _check_text(value: str) -> None:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput("The query string holds characters that are not text.")


def _is_property(name: str) -> bool:
    return name not in (*_LISTS, *_EXACT, *_NUMBERS, *_TIMES, *_OTHERS)


def _equal(given: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in _LISTS:
        if name in given:
            yield name, _values(given[name])
    for name in _EXACT:
        if name in given:
            yield name, (given[name],)
    for name in _NUMBERS:
        number = _number(name, given)
        if number is not None:
            yield name, (str(number),)


def _values(expression: str) -> tuple[str, ...]:
    """`value`, `eq:value` or `in:a,"b,c"`."""
    comparison, value = _split(expression)
    if comparison == "eq":
        return (value,)
    if comparison != "in":
        raise InvalidInput(f"Unable to filter by unknown operator '{comparison}'.")
    _check_quotes(value)
    return tuple(match[1] or match[2] or "" for match in _ITEM.finditer(value))


def _split(expression: str) -> tuple[str, str]:
    """Comparison and value; a time has colons of its own and needs no comparison."""
    comparison, colon, value = expression.partition(":")
    if not colon or _moment(expression) is not None:
        return "eq", expression
    return comparison, value


def _check_quotes(value: str) -> None:
    """Each quoted item stands between commas, and its quotes are closed."""
    quoted = False
    for position, character in enumerate(value):
        if character != '"' or value[position - 1 : position] == "\\":
            continue
        if not quoted and position and value[position - 1] != ",":
            raise InvalidInput(
                f"Invalid filter value {value}. There is no comma before opening quotation mark."
            )
        if quoted and position + 1 < len(value) and value[position + 1] != ",":
            raise InvalidInput(
                f"Invalid filter value {value}. There is no comma after closing quotation mark."
            )
        quoted = not quoted
    if quoted:
        raise InvalidInput(f"Invalid filter value {value}. The quote is not closed.")


def _time(name: str, expression: str) -> tuple[str, str, datetime]:
    comparison, value = _split(expression)
    moment = _moment(value)
    if moment is None:
        raise InvalidInput(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.')
    if comparison not in COMPARISONS:
        raise InvalidInput("Unable to filter on a unknown operator.")
    return name, comparison, moment


def _moment(text: str) -> datetime | None:
    """An ISO 8601 time, in UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _number(name: str, given: Mapping[str, str]) -> int | None:
    if name not in given:
        return None
    try:
        number = int(given[name])
    except ValueError:
        raise InvalidInput("Unable to filter on a range with a non-numeric value.") from None
    return max(-_LARGEST, min(number, _LARGEST))


def _limit(text: str) -> int:
    try:
        limit = int(text)
    except ValueError:
        raise InvalidInput("limit param must be an integer") from None
    if limit < 0:
        raise InvalidInput("limit param must be positive")
    return limit


def _visibility(text: str) -> Visibility:
    try:
        return Visibility(text)
    except ValueError:
        raise InvalidInput(f"Invalid visibility value: {text}") from None


def _member_status(text: str) -> MemberStatus | None:
    try:
        return None if text == "all" else MemberStatus(text)
    except ValueError:
        raise InvalidInput(f"Invalid status: {text}") from None


def _truth(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidInput(f"Invalid value '{text}' for '{name}' filter. Valid values are 'true' or 'false'.")
    return text == "true"


def _sort(params: MultiMapping[str]) -> tuple[tuple[str, bool], ...]:
    """`sort=name:asc,size` or repeated `sort_key` and `sort_dir`, made total by created_at and id."""
    keys, directions = _sort_words(params)
    ties = directions[0] if len(directions) == 1 else "desc"
    if len(directions) == 1:
        directions = directions * len(keys)
    for key in keys:
        if key not in SORT_KEYS:
            raise InvalidInput(
                f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORT_KEYS)}."
            )
    for direction in (*directions, ties):
        if direction not in ("asc", "desc"):
            raise InvalidInput(f"Invalid sort direction: {direction}")
    order: dict[str, bool] = {}
    for key, direction in (*zip(keys, directions, strict=True), ("created_at", ties), ("id", ties)):
        order.setdefault(key, direction == "asc")
    return tuple(order.items())


def _sort_words(params: MultiMapping[str]) -> tuple[list[str], list[str]]:
    if "sort" in params:
        if "sort_key" in params or "sort_dir" in params:
            raise InvalidInput("Old and new sorting syntax cannot be combined")
        words = [word.partition(":") for word in params.getall("sort")[-1].split(",")]
        return [key.strip() for key, _, _ in words], [
            direction.strip() or "desc" for _, _, direction in words
        ]
    keys = [key.strip() for key in params.getall("sort_key", ())] or ["created_at"]
    directions = [direction.strip() for direction in params.getall("sort_dir", ())] or ["desc"]
    if len(directions) > 1 and len(directions) != len(keys):
        raise InvalidInput("Number of sort dirs does not match the number of sort keys")
    return keys, directions
