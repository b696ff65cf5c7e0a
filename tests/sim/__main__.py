"""Runs many seeds on all cores: python -m tests.sim SEEDS FIRST; or one with its trace: --trace SEED."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.sim.run import Outcome, run

_AT_ONCE = 8


def main() -> int:
    """0 when all promises were kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=200)
    parser.add_argument("first", type=int, nargs="?", default=1)
    parser.add_argument("--trace", type=int, metavar="SEED", help="run one seed and print what happens")
    wanted = parser.parse_args()
    if wanted.trace is not None:
        run(wanted.trace, tell=print)
        return 0
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        seeds = range(wanted.first, wanted.first + wanted.seeds)
        outcomes = _shown(pool.map(run, seeds, chunksize=_AT_ONCE), wanted.seeds)
    _sum_up(outcomes, time.monotonic() - began)
    return int(any(outcome.failure for outcome in outcomes))


def _shown(outcomes: Iterable[Outcome], total: int) -> list[Outcome]:
    done = []
    for outcome in outcomes:
        done.append(outcome)
        if outcome.failure:
            print(f"seed {outcome.seed}: {outcome.failure:.500}")
            print(f"    replay it with: make sim TRACE={outcome.seed}", flush=True)
        if len(done) % max(1, total // 20) == 0:
            print(f"{len(done)} of {total}", file=sys.stderr, flush=True)
    return done


def _sum_up(outcomes: list[Outcome], seconds: float) -> None:
    faults: Counter[str] = Counter()
    deeds: Counter[str] = Counter()
    for outcome in outcomes:
        faults += outcome.faults
        deeds += outcome.deeds
    for title, counts in (("faults", faults), ("deeds and what came of them", deeds)):
        print(f"\n{title}")
        for kind, count in sorted(counts.items()):
            print(f"  {kind:36} {count:9}")
    failed = sum(bool(outcome.failure) for outcome in outcomes)
    steps = sum(outcome.steps for outcome in outcomes)
    print(f"\n{len(outcomes)} seeds, {steps} events, {seconds:.0f} s")
    lost = "none" if not failed else f"{failed} seeds broke a promise"
    print(f"records lost or invented, or another promise broken: {lost}")


if __name__ == "__main__":
    sys.exit(main())
