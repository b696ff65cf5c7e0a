"""What it costs to bring one image over a line."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.processes import MB, own_time
from benchmarks.wan.line import Line


@dataclass(frozen=True)
class Trip:
    """`megabytes` on the line, both directions; `seconds` until the image is complete at the edge.

    `processor`: seconds of all programs at both ends together, without the line's own.
    """

    megabytes: float
    seconds: float
    processor: float


def trip(line: Line, bring: Callable[[], None]) -> Trip:
    """What `bring` costs. Nothing else may use the line or start a program meanwhile."""
    carried, busy, began = line.carried, programs_time(), time.monotonic()
    bring()
    return Trip((line.carried - carried) / MB, time.monotonic() - began, programs_time() - busy)


def programs_time() -> float:
    """Seconds of processor time so far of all programs that this one has started, also of ended ones."""
    return own_time() - time.process_time()
