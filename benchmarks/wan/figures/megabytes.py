"""Bytes on the line for a new version where the old one is held, and for a first copy.

All that is said in both directions, TLS included, until the edge has the image: by itself, and the same while
a client waits for it.
"""

from collections.abc import Sequence

from benchmarks.row import Row, alone, compare, share, under
from benchmarks.wan.line import OPEN
from benchmarks.wan.stage import Stage

GLANCE = "stock Glance"
RAW, ZLIB = under(46, "MB"), under(47, "MB")


def measure(stage: Stage) -> Sequence[Row]:
    rows = []
    for version in ("v2re", "v2up"):
        what = f"MB on the line, v1 to {version}"
        ours = _ours(stage, "v1.raw", f"{version}.raw")
        glance = [stage.glance_trip(f"{version}.raw", OPEN).megabytes]
        rows.append(alone(f"{what}, raw", "MB", ours, RAW))
        rows.append(compare(f"{what}, raw", "MB", ours, GLANCE, glance, share(1 / 45, "45 times less")))
        zlib = _ours(stage, "v1.zlib.qcow2", f"{version}.zlib.qcow2")
        rows.append(alone(f"{what}, zlib qcow2", "MB", zlib, ZLIB))
    for form, goal in (("raw", RAW), ("zlib.qcow2", ZLIB)):
        waited = stage.trip(f"v1.{form}", f"v2re.{form}", stage.for_bytes, waited_for=True)
        what = f"MB on the line, v1.{form} to v2re.{form}, for a client"
        rows.append(alone(what, "MB", [waited.megabytes], goal))
    for held, brought in (
        ("v1.raw", "v2re.qcow2"),
        ("v1.raw", "v2re.zlib.qcow2"),
        ("v1.zlib.qcow2", "v2re.raw"),
        ("v1.zstd.qcow2", "v2re.zstd.qcow2"),
    ):
        found = _ours(stage, held, brought)
        rows.append(alone(f"MB on the line, {held} to {brought}", "MB", found, ZLIB))
    for brought in ("v1.zlib.qcow2",):
        file = [stage.pairs.size(brought) / 1e6]
        what = f"MB on the line, nothing to {brought}"
        rows.append(compare(what, "MB", _ours(stage, "", brought), "the file", file, share(0.8, "20 % less")))
    return rows


def _ours(stage: Stage, held: str, brought: str) -> list[float]:
    return [stage.trip(held, brought, stage.for_bytes).megabytes]
