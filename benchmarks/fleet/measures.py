"""What is measured: each function is one round, or one part of the program."""

import http.client
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import WrongAnswerError
from benchmarks.fleet.centre import Centre
from benchmarks.fleet.helpers import Herds, Spoken
from benchmarks.processes import processor_time
from peers.process import HOST
from peers.skerry import Skerry

EVERY = 1.0
"""Seconds between two changes."""

_SETTLE = 8.0
"""Seconds that the last change of a round gets to be seen everywhere, more than the goal."""

_LOOK = 0.04
"""Seconds between two looks at an edge."""

_CUT = 40.0
"""Seconds that the line stays cut: all sites have noticed by then, and look for it."""

_MISSED = 5
"""Changes while it is cut."""

_BACK_WITHIN = 180.0


@dataclass(frozen=True)
class Lag:
    """Seconds from a change to its being seen, and the share of a core that the centre used meanwhile."""

    p50: float
    p99: float
    share: float


@dataclass(frozen=True)
class Return:
    """Seconds until half and all were current; requests refused with and without a time to come back, and
    those that ended without an answer, by their kind."""

    p50: float
    last: float
    told: int
    untold: int
    kinds: dict[str, int]


def percentile(values: list[float], percent: int) -> float:
    """Of values in order."""
    return values[min(len(values) * percent // 100, len(values) - 1)]


def lag(centre: Centre, herds: Herds, sites: int, changes: int) -> Lag:
    """One change a second, seen by all sites."""
    herds.report()
    before, began = processor_time(centre.pid), time.monotonic()
    for number in range(changes):
        time.sleep(max(0.0, began + number * EVERY - time.monotonic()))
        centre.change()
    took = time.monotonic() - began
    share = (processor_time(centre.pid) - before) / took
    time.sleep(_SETTLE)
    lags = herds.report().lags
    # one entry that has been replaced before it was fetched is never seen: its successor is
    if len(lags) < sites * changes * 0.95:
        raise WrongAnswerError(f"{len(lags)} of {sites * changes} changes were seen.")
    return Lag(percentile(lags, 50), percentile(lags, 99), share)


def idle(centre: Centre, seconds: float) -> float:
    """The share of a core that the centre uses while nothing changes."""
    before, began = processor_time(centre.pid), time.monotonic()
    time.sleep(seconds)
    return (processor_time(centre.pid) - before) / (time.monotonic() - began)


def come_back(centre: Centre, herds: Herds, line: Spoken, sites: int) -> Return:
    """All lose the line at one moment, images change meanwhile, and all have it back at one moment."""
    line.say("cut")
    line.hear()
    began = time.monotonic()
    for _ in range(_MISSED):
        _, _, last_change = centre.change()
    time.sleep(max(0.0, began + _CUT - time.monotonic()))
    while_cut = herds.report()
    if while_cut.seen:
        raise WrongAnswerError("Something was seen over a line that was cut.")
    restored = time.monotonic()
    line.say("restore")
    line.hear()
    current: list[float] = []
    refused: Counter[str] = Counter()
    while len(current) < sites:
        if time.monotonic() > restored + _BACK_WITHIN:
            raise WrongAnswerError(f"Only {len(current)} sites are current after {_BACK_WITHIN:g} s.")
        time.sleep(1.0)
        report = herds.report()
        refused += report.refused
        current += [at - restored for changed, at in report.seen if abs(changed - last_change) < 1e-5]
    current.sort()
    told = sum(count for kind, count in refused.items() if kind.endswith(" with Retry-After"))
    untold = sum(count for kind, count in refused.items() if kind.endswith(" without Retry-After"))
    return Return(percentile(current, 50), current[-1], told, untold, dict(refused))


def visible(centre: Centre, edges: list[Skerry], changes: int) -> list[float]:
    """Seconds from each change to its being shown by the API of each edge, in order."""
    lines = [http.client.HTTPConnection(HOST, edge.port, timeout=60) for edge in edges]
    lags: list[float] = []
    for _ in range(changes):
        image, name, changed = centre.change()
        waiting = list(lines)
        while waiting:
            looked = time.monotonic()
            if looked > changed + 30:
                raise WrongAnswerError(f"{len(waiting)} edges do not show the change {name}.")
            for edge in tuple(waiting):
                if _name(edge, image) == name:
                    lags.append(time.monotonic() - changed)
                    waiting.remove(edge)
            time.sleep(max(0.0, looked + _LOOK - time.monotonic()))
        time.sleep(max(0.0, changed + 0.5 - time.monotonic()))
    return sorted(lags)


def shown_everywhere(centre: Centre, edges: list[Skerry]) -> None:
    """Return once a change is seen at every edge."""
    visible(centre, edges, 1)


def _name(edge: http.client.HTTPConnection, image: str) -> str:
    edge.request("GET", f"/v2/images/{image}")
    answer = edge.getresponse()
    said = answer.read()
    return str(json.loads(said)["name"]) if answer.status == 200 else ""


def edges_of(folder: Path, names: list[str]) -> list[Skerry]:
    """The members of these names as `skerry serve`, not yet started."""
    return [Skerry(folder / name) for name in names]
