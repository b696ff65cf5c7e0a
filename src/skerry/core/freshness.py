"""How long a record that was learned from upstream may be used.

Source: the edge-image discussion of OpenStack's edge working group, scenarios "distributed control" and
"centralised control": a cached record has a time to live, past it the source is asked.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from skerry.core.wire import time_from_wire, time_to_wire

STALE = "Skerry-Stale"
"""The header of an answer that may be out of date: since when, and why."""

_FORM = re.compile(r'as-of=([^;]+); reason="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Staleness:
    """Why an answer may be out of date: `as_of` when it was last known true, `reason` for a person."""

    as_of: datetime
    reason: str

    def to_wire(self) -> str:
        """The value of the header."""
        reason = self.reason.encode("ascii", "replace").decode().replace('"', "'")
        return f'as-of={time_to_wire(self.as_of)}; reason="{reason}"'

    @classmethod
    def from_wire(cls, text: str) -> "Staleness":
        """Undo `to_wire`. Raises ValueError."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{STALE}: {text!r:.100} says nothing")
        return cls(time_from_wire(match[1]), match[2])


class Freshness(Enum):
    """What to do with a record of a certain age."""

    USE = auto()
    """Young enough: no call is made."""
    CHECK = auto()
    """Ask upstream; when nobody answers, use it and say that it is stale."""
    CHECK_OR_REFUSE = auto()
    """Ask upstream; when nobody answers, it is too old to be used."""


def judge(age: float | None, *, ttl: float, max_stale: float) -> Freshness:
    """The rule. `age` is in seconds since upstream last confirmed the record; None when nothing is known.

    A `ttl` of 0 always asks. An age below zero (a clock that was set back) is asked about as well.
    """
    if age is None:
        return Freshness.CHECK_OR_REFUSE
    if 0 <= age < ttl:
        return Freshness.USE
    return Freshness.CHECK if age <= max_stale else Freshness.CHECK_OR_REFUSE
