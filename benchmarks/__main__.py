"""`python -m benchmarks`: measure, print a table, write `results/edge.json`."""

import argparse
import sys

from benchmarks import report
from benchmarks.figures import FIGURES
from benchmarks.machine import facts, touch_memory, watched
from benchmarks.row import Row
from benchmarks.scale import FULL, QUICK
from benchmarks.stage import running
from peers.install import install


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=FIGURES, help="a figure; may be given several times"
    )
    parser.add_argument("--quick", action="store_true", help="small and few, to see that all of it works")
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    _say("Getting Keystone, Glance, nginx and the rest ...")
    install()
    measured = facts()
    if not arguments.quick:
        _say("Touching memory ...")
        touch_memory()
    _say("Starting everything ...")
    rows: list[Row] = []
    with running(scale) as stage, watched(measured):
        for name in arguments.only or FIGURES:
            _say(f"Measuring {name} ...")
            found = FIGURES[name](stage)
            rows += found
            _say(report.table(found))
    print(report.table(rows))
    print(f"Other programs used {measured['others']:.0%} of the processors meanwhile.")
    if scale is FULL and not arguments.only:
        print(f"Written to {report.write('edge', measured, rows)}")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
