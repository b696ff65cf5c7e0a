"""Everything about placements as JSON: what the API answers and the command line prints.

A value becomes an object with its fields. An action also says which one it is (`action`), a placement has the
keys of its document, a moment is UTC text, and what is unknown is null.
"""

from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from skerry.core.placement.actions import Adopt, Drop, Evict, Fetch, Pin, Release, Repair, Unpin
from skerry.core.placement.document import dump_one
from skerry.core.placement.observed import Observed
from skerry.core.placement.plan import Blocked
from skerry.core.placement.preflight import Preflight
from skerry.core.placement.rule import Placement
from skerry.core.placement.verdicts import Verdict
from skerry.core.placement.window import Window
from skerry.core.wire import time_to_wire

_MOMENTS = frozenset(
    {
        "at", "as_of", "since", "next_at", "next_attempt", "not_before", "retry_at", "last_used",
        "unwanted_since", "drop_at",
    }
)  # fmt: skip
_WORKED_OUT: Mapping[type, tuple[str, ...]] = {Preflight: ("is_safe",), Observed: ("drop_at",)}
"""What is shown beside the fields."""
_ACTIONS = (Fetch, Repair, Evict, Drop, Pin, Unpin, Adopt, Release)


def to_wire(value: Any) -> Any:
    """Any value of this package as what JSON can hold. Raises TypeError for what is no such value."""
    if isinstance(value, Placement):
        return dump_one(value)
    if isinstance(value, Window | Verdict):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return _object(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return to_wire(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    if isinstance(value, Set):
        return [to_wire(item) for item in sorted(value)]
    if isinstance(value, list | tuple):
        return [to_wire(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _object(value: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if isinstance(value, _ACTIONS):
        shown["action"] = type(value).__name__.lower()
    elif isinstance(value, Blocked):
        shown["action"] = "blocked"
    names = [field.name for field in fields(value)]
    for name in (*names, *_WORKED_OUT.get(type(value), ())):
        item = getattr(value, name)
        shown[name] = _moment(item) if name in _MOMENTS and item is not None else to_wire(item)
    return shown


def _moment(seconds: float) -> str:
    return time_to_wire(datetime.fromtimestamp(seconds, UTC))
