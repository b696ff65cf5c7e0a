import argparse
import asyncio
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import benchmarks.fleet
from benchmarks import report
from benchmarks.fleet import centre as centres
from benchmarks.fleet.founding import found
from benchmarks.fleet.helpers import herds, line
from benchmarks.fleet.measures import (
    Lag,
    Return,
    come_back,
    edges_of,
    idle,
    lag,
    percentile,
    shown_everywhere,
    visible,
)
from benchmarks.machine import facts, watched
from benchmarks.processes import highest_resident
from benchmarks.row import Row, alone, under
from peers.process import HOST, free_port


@dataclass(frozen=True)
class Size:
    """Sites that follow, edges that are whole; changes and idle seconds of a round; rounds."""

    sites: int
    edges: int
    changes: int
    idle: float
    rounds: int


FULL = Size(sites=1000, edges=20, changes=20, idle=24, rounds=2)
QUICK = Size(sites=50, edges=3, changes=5, idle=5, rounds=1)


@dataclass
class Found:
    """What the rounds gave."""

    lags: list[Lag] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    memory: float = 0.0
    back: list[Return] = field(default_factory=list)
    visible: list[list[float]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=benchmarks.fleet.__doc__)
    parser.add_argument("--quick", action="store_true", help="small, to see that all of it works")
    size = QUICK if parser.parse_args().quick else FULL
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    measured = facts(peers=False)
    result = Found()
    with watched(measured), tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder:
        _many(Path(folder) / "many", size, result)
        _few(Path(folder) / "few", size, result)
    measured |= _facts(size, result)
    rows = _rows(size, result)
    print(report.table(rows))
    print({name: measured[name] for name in _facts(size, result)})
    print(f"Other programs used {measured['others']:.0%} of the processors meanwhile.")
    if size is FULL:
        print(f"Written to {report.write('fleet', measured, rows)}")


def _many(folder: Path, size: Size, result: Found) -> None:
    """Sites that live in a few processes."""
    port = free_port()
    names = [f"s{number}" for number in range(size.sites)]
    _say(f"{size.sites} sites are entered ...")
    asyncio.run(found(folder, names, f"{HOST}:{port}"))
    with centres.running(folder, port) as centre:
        _say("They begin to follow ...")
        with herds(folder, f"https://{HOST}:{port}", size.sites) as direct:
            for number in range(size.rounds):
                _say(f"Round {number + 1} of {size.rounds}: one change a second, then none ...")
                result.lags.append(lag(centre, direct, size.sites, size.changes))
                result.idle.append(idle(centre, size.idle))
                _say(f"{result.lags[-1]}, idle {result.idle[-1]:.3f}")
        with line(port) as (cut, near):
            _say("They begin to follow over a line that can be cut ...")
            with herds(folder, f"https://{HOST}:{near}", size.sites) as far:
                for number in range(size.rounds):
                    _say(f"Round {number + 1} of {size.rounds}: the line is cut, and restored ...")
                    result.back.append(come_back(centre, far, cut, size.sites))
                    _say(str(result.back[-1]))
        result.memory = highest_resident(centre.pid)


def _few(folder: Path, size: Size, result: Found) -> None:
    """Edges that are `skerry serve`."""
    port = free_port()
    names = [f"s{number}" for number in range(size.edges)]
    asyncio.run(found(folder, names, f"{HOST}:{port}"))
    with centres.running(folder, port) as centre, ExitStack() as stack:
        _say(f"{size.edges} edges start ...")
        edges = edges_of(folder, names)
        for edge in edges:
            edge.start()
            stack.callback(edge.daemon.stop)
        shown_everywhere(centre, edges)
        for number in range(size.rounds):
            _say(f"Round {number + 1} of {size.rounds}: changes are looked for at all edges ...")
            result.visible.append(visible(centre, edges, size.changes))


def _facts(size: Size, result: Found) -> dict[str, Any]:
    return {
        "sites": size.sites,
        "edges": size.edges,
        "changes_of_a_round": size.changes,
        "lag_p50_s": [round(one.p50, 4) for one in result.lags],
        "share_of_a_core_at_one_change_a_second": [round(one.share, 3) for one in result.lags],
        "half_current_after_s": [round(one.p50, 2) for one in result.back],
        "refused_and_told_when_to_come_back": [one.told for one in result.back],
        "ended_otherwise": [one.kinds for one in result.back],
        "visible_p50_s": [round(percentile(lags, 50), 4) for lags in result.visible],
    }


def _rows(size: Size, result: Found) -> list[Row]:
    many, few = f"{size.sites:,} sites", f"{size.edges} edges"
    back = f"{many} come back at once"
    return [
        alone(f"{many}, a change a second: lag p99", "s", [one.p99 for one in result.lags], under(5, "s")),
        alone(f"{many}: the centre's memory at most", "MB", [result.memory], under(500, "MB")),
        alone(
            f"{many}, no change: the centre's share of a core", "%",
            [share * 100 for share in result.idle], under(10, "%"),
        ),
        alone(f"{back}: all current", "s", [one.last for one in result.back], under(120, "s")),
        alone(
            f"{back}: refused without Retry-After", "",
            [one.untold for one in result.back], under(1, ""),
        ),
        alone(
            f"{few}: a change is shown by their API, p99", "s",
            [percentile(lags, 99) for lags in result.visible], under(1, "s"),
        ),
    ]  # fmt: skip


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
