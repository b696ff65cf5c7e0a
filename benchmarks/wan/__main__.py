"""`python -m benchmarks.wan`: what it costs to bring a new image over a thin line; `make bench-wan`.

Each figure is written to `results/wan.json` as soon as it is measured; those of other figures stay there.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.machine import facts, watched
from benchmarks.wan import pairs, tools
from benchmarks.wan.figures import FIGURES
from benchmarks.wan.stage import FULL, QUICK, running
from peers.install import HOME, install


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wan", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=FIGURES, help="a figure; may be given several times"
    )
    parser.add_argument(
        "--images", type=Path, default=HOME / "pairs", help="where the images are, or are to be made"
    )
    parser.add_argument("--quick", action="store_true", help="small images and a fast line, for a try")
    arguments = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # what runs is stopped, and removed
    _say("Getting Keystone, Glance, nginx, rsync and the rest ...")
    install()
    with contextlib.ExitStack() as stack:
        if arguments.quick:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=HOME)))
            images, lines = pairs.small(folder), QUICK
        else:
            images, lines = pairs.real(arguments.images.resolve()), FULL
        stage = stack.enter_context(running(images, lines))
        for name in arguments.only or FIGURES:
            _say(f"Measuring {name} ...")
            measured = facts()
            measured["versions"] |= tools.versions()
            with watched(measured):
                rows = FIGURES[name](stage)
            print(report.table(rows), flush=True)
            if lines is FULL:
                _say(f"Written to {report.replace('wan', name, measured, rows)}")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
