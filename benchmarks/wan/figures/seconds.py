"""Seconds until a new version is complete and verified at the edge that has the old one, over the thin line.

The edge is told to bring it; or a client is the first to ask, and waits, as always at stock Glance.
Stock Glance, whose image has no checksum, verifies nothing: its turn is over when a client has the last byte
and the cache says that it has the image.
"""

from collections.abc import Sequence

from benchmarks.row import Row, compare, less_than_peer, share
from benchmarks.wan.stage import Stage

GLANCE = "stock Glance, cache"
FASTER = {"raw": 30, "zlib.qcow2": 6}


def measure(stage: Stage) -> Sequence[Row]:
    rows = []
    line = stage.lines.thin
    mine = {
        (form, waited_for): stage.trip(f"v1.{form}", f"v2re.{form}", line, waited_for=waited_for)
        for form in FASTER
        for waited_for in (False, True)
    }
    for (form, waited_for), ours in mine.items():
        brought, faster = f"v2re.{form}", FASTER[form]
        theirs = stage.glance_trip(brought, line)
        what = f"v1.{form} to {brought}, {line}{', for a client' * waited_for}"
        goal = share(1 / faster, f"{faster} times faster")
        rows.append(compare(what, "s", [ours.seconds], GLANCE, [theirs.seconds], goal))
        if not waited_for:
            processor = f"{what}: processor"
            rows.append(
                compare(processor, "s", [ours.processor], GLANCE, [theirs.processor], less_than_peer())
            )
    return rows
