"""Seconds until a new version is complete and verified at the edge that has the old one, over the thin line.

Stock Glance, whose image has no checksum, verifies nothing: its turn is over when a client has the last byte
and the cache says that it has the image.
"""

from collections.abc import Sequence

from benchmarks.row import Row, compare, less_than_peer, share
from benchmarks.wan.stage import Stage

FASTER = {"raw": 30, "zlib.qcow2": 6}


def measure(stage: Stage) -> Sequence[Row]:
    rows = []
    line = stage.lines.thin
    mine = {form: stage.trip(f"v1.{form}", f"v2re.{form}", line) for form in FASTER}
    for form, faster in FASTER.items():
        brought = f"v2re.{form}"
        ours, theirs = mine[form], stage.glance_trip(brought, line)
        what = f"v1.{form} to {brought}, {line}"
        goal = share(1 / faster, f"{faster} times faster")
        rows += [
            compare(what, "s", [ours.seconds], "stock Glance, cache", [theirs.seconds], goal),
            compare(
                f"{what}: processor",
                "s",
                [ours.processor],
                "stock Glance, cache",
                [theirs.processor],
                less_than_peer(),
            ),
        ]
    return rows
