"""What a site says of its copies in its feed: a report as the body of an entry, and back.

A body has the fields of what it tells of. Of those that change all the time it tells nothing, so that an
entry is written when something has happened, and not for each byte.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from skerry.core.placement.actions import Action, Adopt, Drop, Evict, Fetch, Move, Pin, Release, Repair, Unpin
from skerry.core.placement.knowledge import Report, Transfer
from skerry.core.placement.observed import Observed
from skerry.core.placement.plan import Blocked

_KINDS = (Fetch, Repair, Evict, Drop, Pin, Unpin, Adopt, Release, Move, Blocked)
_STEPS: Mapping[Any, Any] = {kind.__name__.lower(): kind for kind in _KINDS}


def report_to_body(report: Report) -> dict[str, Any]:
    """The body of an entry; `report_from_body` undoes it, but for what changes all the time."""
    copy, transfer, step = report.copy, report.transfer, report.step
    return {
        "copy": copy and msgspec.to_builtins(replace(copy, last_used=0.0, busy=False, here=0)),
        "transfer": transfer and msgspec.to_builtins(replace(transfer, done=0)),
        "step": step and {"step": type(step).__name__.lower(), **msgspec.to_builtins(step)},
    }


def report_from_body(body: Mapping[str, Any], as_of: float) -> Report:
    """The report that a body is, true `as_of`. What a later version says otherwise is left out."""
    return Report(
        as_of,
        _read(body.get("copy"), Observed),
        _read(body.get("transfer"), Transfer),
        _step(body.get("step")),
    )


def _step(value: Any) -> Action | Blocked | None:
    kind = _STEPS.get(value.get("step")) if isinstance(value, dict) else None
    step: Action | Blocked | None = _read(value, kind) if kind is not None else None
    return step


def _read(value: Any, kind: type) -> Any:
    try:
        return None if value is None else msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None
