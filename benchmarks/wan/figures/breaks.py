"""Bytes on the line for one transfer that is interrupted ten times, against the same transfer left alone.

Each time the edge is killed (SIGKILL, and started again), or the line is cut for longer than the edge waits
for bytes (`[upstream] stall`, 15 s), so that both ends give up what they had open. The interruptions come
after equal parts of the bytes.
"""

import time
from collections.abc import Callable, Sequence

from benchmarks.clients import WrongAnswerError
from benchmarks.row import Row, compare, share
from benchmarks.wan.line import Line
from benchmarks.wan.sites import Site
from benchmarks.wan.stage import Stage
from benchmarks.wan.trip import Trip, trip

TIMES = 10
CUT = 20.0
GOAL = share(1.03, "within 3 %")

Harm = Callable[[Site, Line], None]


def measure(stage: Stage) -> Sequence[Row]:
    rows = []
    for held in ("v1.zlib.qcow2", ""):
        brought = "v2re.zlib.qcow2"
        alone = _transfer(stage, held, brought, None, 0)
        size = int(alone.megabytes * 1e6)
        for words, harm in (("kill -9 of the edge", _kill), ("cuts of the line", _cut)):
            harmed = _transfer(stage, held, brought, harm, size)
            what = f"MB on the line, {held or 'nothing'} to {brought}, {TIMES} {words}"
            rows.append(compare(what, "MB", [harmed.megabytes], "left alone", [alone.megabytes], GOAL))
    return rows


def _transfer(stage: Stage, held: str, brought: str, harm: Harm | None, size: int) -> Trip:
    image_id = stage.image(brought)
    with stage.edge(*filter(None, [held])) as (edge, line):
        edge.wait_known(image_id)
        line.reshape(stage.lines.thin)
        start = line.carried

        def bring() -> None:
            edge.queue(image_id)
            for number in range(1, TIMES + 1):
                if harm is None:
                    break
                _wait(edge, image_id, line, start + size * number // (TIMES + 1))
                harm(edge, line)
                edge.queue(image_id)
            edge.wait_whole(image_id)

        cost = trip(line, bring)
        stage.check(edge, image_id, brought)
    return cost


def _wait(edge: Site, image_id: str, line: Line, until: int) -> None:
    """Return when the line has carried so many bytes."""
    looked = time.monotonic()
    while line.carried < until:
        time.sleep(0.01)
        if time.monotonic() - looked > 1:
            looked = time.monotonic()
            if edge.has(image_id):
                raise WrongAnswerError(
                    f"{edge.name}: the image was there before it was interrupted {TIMES} times"
                )


def _kill(edge: Site, line: Line) -> None:
    edge.skerry.daemon.kill()
    edge.skerry.daemon.start()


def _cut(edge: Site, line: Line) -> None:
    line.cut()
    time.sleep(CUT)
    line.restore()
