"""A new image for all sites of a region at once, and for one alone.

The thin line leads from the centre to the region. The sites of the region share one wide line from it, and
each has one of its own over which the others reach it. The image is random bytes: nothing helps but sharing.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.processes import MB
from benchmarks.row import Row, compare, share
from benchmarks.wan import sites
from benchmarks.wan.line import Line
from benchmarks.wan.sites import Site
from benchmarks.wan.stage import FULL, Stage
from peers.process import free_port

SITES = 20
SIZE = 300_000_000
SMALL = 30_000_000


def measure(stage: Stage) -> Sequence[Row]:
    size = SIZE if stage.lines is FULL else SMALL
    one, all_of_them = _spread(stage, size, 1), _spread(stage, size, SITES)
    what = f"{size // MB} MB to {SITES} sites of a region, {stage.lines.thin}"
    sent, image = all_of_them[1] / MB, size / MB
    return [
        compare(f"{what}: sent by the centre", "MB", [sent], "the image", [image], share(1.2, "1.2 copies")),
        compare(
            f"{what}: complete", "s", [all_of_them[0]], "one site alone", [one[0]], share(3, "within 3 times")
        ),
    ]


def _spread(stage: Stage, size: int, count: int) -> tuple[float, int]:
    """Seconds until `count` sites have a new image, and bytes that the centre has sent for it."""
    folder = stage.folder / "siblings"
    folder.mkdir()
    try:
        with contextlib.ExitStack() as stack:
            return _measure(stage, stack, folder, size, count)
    finally:
        shutil.rmtree(folder)


def _measure(
    stage: Stage, stack: contextlib.ExitStack, folder: Path, size: int, count: int
) -> tuple[float, int]:
    up = stack.enter_context(Line(stage.centre.listens))
    down = stack.enter_context(Line(free_port()))
    region = stack.enter_context(
        sites.joined(folder / f"region-{count}", up, stage.centre, stage.centre, down)
    )
    siblings = [
        stack.enter_context(_sibling(stage, folder / f"sibling-{count}-{number}", down, region))
        for number in range(count)
    ]
    image_id = _new_image(stage, folder / f"image-{count}", size)
    for site in siblings:
        site.wait_known(image_id)
    up.reshape(stage.lines.thin)
    down.reshape(stage.lines.wide)
    sent, began = up.sent, time.monotonic()
    for site in siblings:
        site.queue(image_id)
    for site in siblings:
        site.wait_whole(image_id)
    return time.monotonic() - began, up.sent - sent


@contextlib.contextmanager
def _sibling(stage: Stage, folder: Path, down: Line, region: Site) -> Iterator[Site]:
    with (
        Line(free_port(), stage.lines.wide) as front,
        sites.joined(folder, down, region, stage.centre, front) as site,
    ):
        yield site


def _new_image(stage: Stage, file: Path, size: int) -> str:
    with file.open("wb") as out:
        for begin in range(0, size, 1 << 20):
            out.write(os.urandom(min(1 << 20, size - begin)))
    return stage.upload(file, "raw")
