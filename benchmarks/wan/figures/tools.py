"""The tools that bring a file to where an old one is, beside Skerry: bytes, seconds and processor time.

Seconds are measured for v2re, over the thin line. Bytes alone are measured for v2up, and for casync, which
asks for each chunk by itself and so would wait for hours, over an open one.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.clients import WrongAnswerError
from benchmarks.row import Row, compare, less_than_peer
from benchmarks.wan.line import OPEN, Line
from benchmarks.wan.stage import Stage
from benchmarks.wan.tools import TOOLS, Casync, Tool
from benchmarks.wan.trip import Trip, trip
from peers.nginx import Nginx
from peers.rsync import Rsync
from skerry.lab.shape import Shape

BESIDE = less_than_peer()


def measure(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    for version in ("v2re", "v2up"):
        for form in ("raw", "zlib.qcow2"):
            for tool in TOOLS:
                timed = version == "v2re" and not isinstance(tool, Casync)
                rows += _beside(stage, tool, f"v1.{form}", f"{version}.{form}", timed=timed)
    return rows


def _beside(stage: Stage, tool: Tool, held: str, brought: str, *, timed: bool) -> list[Row]:
    theirs = _trip(stage, tool, held, brought, stage.lines.thin if timed else OPEN)
    ours = stage.trip(held, brought, stage.lines.thin if timed else stage.for_bytes)
    what = f"{held} to {brought}"
    rows = [compare(f"MB on the line, {what}", "MB", [ours.megabytes], tool.name, [theirs.megabytes], BESIDE)]
    if timed:
        what = f"{what}, {stage.lines.thin}"
        rows.append(compare(what, "s", [ours.seconds], tool.name, [theirs.seconds], BESIDE))
    processor = f"{what}: processor"
    return [*rows, compare(processor, "s", [ours.processor], tool.name, [theirs.processor], BESIDE)]


def _trip(stage: Stage, tool: Tool, held: str, brought: str, shaped: Shape) -> Trip:
    folder = stage.folder / "tool"
    try:
        return _measure(stage, folder, tool, held, brought, shaped)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(stage: Stage, folder: Path, tool: Tool, held: str, brought: str, shaped: Shape) -> Trip:
    (web := folder / "web").mkdir(parents=True)
    old, new, made = stage.pairs.path(held), stage.pairs.path(brought), folder / "made"
    (web / brought).symlink_to(new)
    made_ready = tool.offer(old, new, web)
    server = Rsync(folder / "rsync", new.parent) if tool.by_rsync else Nginx(folder / "nginx", web)
    with server, Line(server.port, shaped) as line:
        found = trip(line, lambda: tool.fetch(line.port, old, brought, made))
    if not stage.pairs.is_same(brought, made):
        raise WrongAnswerError(f"{tool.name}: what it made is not {brought}")
    return Trip(found.megabytes, found.seconds, found.processor + made_ready)
