"""Rounds: every side measured once in each, so that a noisy minute hits all of them."""

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.processes import machine_time

T = TypeVar("T")

QUIET = 0.1
"""Share of the processors that others may use when a turn begins."""

PATIENCE = 5.0
"""Seconds that a turn waits for a quiet machine at most; then it is measured as it is."""


def interleaved(rounds: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """What each side gave in each round. Every round another side is first."""
    names = list(sides)
    found: dict[str, list[T]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            _settle()
            found[name].append(sides[name]())
    return found


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def _settle() -> None:
    """Let what one side left behind, and the rest of the machine, take no time of the next turn's."""
    os.sync()
    deadline = time.monotonic() + PATIENCE
    while _busy(0.25) > QUIET and time.monotonic() < deadline:
        pass


def _busy(seconds: float) -> float:
    """The share of all processors' time that is used."""
    before = machine_time()
    time.sleep(seconds)
    return (machine_time() - before) / (seconds * (os.cpu_count() or 1))
