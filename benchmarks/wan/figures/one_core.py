"""What chunks cost on one core: the index, the plan, and making the new file of packs and of what is held.

Nothing is sent here: both ends are in one process, which may use one core. Seconds are those of that core.
"""

import multiprocessing
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.row import Row, alone, under
from benchmarks.wan import chunks
from benchmarks.wan.stage import Stage
from skerry.chunking.packs import Effort

ROUNDS = 3
GOALS = {"index": 3, "plan": 0.2, "assembly": 4}


def measure(stage: Stage) -> Sequence[Row]:
    folder = stage.folder / "one-core"
    folder.mkdir()
    images = [stage.pairs.path(name) for name in ("v1.raw", "v2re.raw")]
    with multiprocessing.get_context("spawn").Pool(1, _one_core, maxtasksperchild=1) as pool:
        rounds = [pool.apply(_round, (*images, folder)) for _ in range(ROUNDS)]
    shutil.rmtree(folder)
    size = f"{stage.pairs.size('v2re.raw') >> 20} MiB, one core"
    return [
        alone(f"{step} of a raw image of {size}", "s", [found[step] for found in rounds], under(goal, "s"))
        for step, goal in GOALS.items()
    ]


def _one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _round(held: Path, brought: Path, folder: Path) -> dict[str, float]:
    index = chunks.index_seconds(brought)
    origins = [chunks.prepare(path) for path in (held, brought)]
    journey = chunks.bring(origins[1], origins[:1], Effort.QUICK, folder)
    return {"index": index, **journey.seconds}
