"""An assembly that is killed again and again, without warning, comes to its end and loses nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.chunking.disks import KIB, Images, disk, noise, qcow2, words

_CHECKPOINT = 5
"""Chunks between two checkpoints."""

_PROGRAM = """
import os, signal, sys
from pathlib import Path
from skerry.chunking.plan import plan
from skerry.core import write_points
from tests.unit.chunking.disks import Images

folder, image, fatal, label = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

def die(passed):
    if passed == label:
        os.kill(os.getpid(), signal.SIGKILL)

images = Images(folder)
target = images.hold_file(image)
if fatal and label:
    write_points.set_hook(die)
with images.assembly(target) as (made, path), (folder / "log").open("a") as log:
    what = plan(target.index, [], made.stored)
    for _ in made.follow(what, []):
        pass
    for turn, number in enumerate(what.missing.tolist(), 1):
        made.put(number, target.chunk(number))
        print(number, file=log, flush=True)
        if turn == fatal and not label:
            os.kill(os.getpid(), signal.SIGKILL)
        if turn % %d == 0:
            made.checkpoint()
    made.checkpoint()
    made.finish()
""".replace("%d", str(_CHECKPOINT))

CONTENT = disk(words(1500 * KIB), 100 * KIB, noise(900 * KIB))


def run(folder: Path, image: Path, fatal: int, label: str = "") -> int:
    """One life; `fatal` is the chunk at which it ends, or it ends at the write point."""
    command = [sys.executable, "-c", _PROGRAM, str(folder), str(image), str(fatal), label]
    return subprocess.run(command, cwd=Path(__file__).parents[2], timeout=60, check=False).returncode


@pytest.mark.parametrize("form", ["raw", "qcow2", "zlib"])
def test_an_assembly_that_is_killed_again_and_again_comes_to_its_end(tmp_path: Path, form: str) -> None:
    content = CONTENT if form == "raw" else qcow2(CONTENT, compress="zlib" if form == "zlib" else "")
    image = tmp_path / "image"
    image.write_bytes(content)
    kills = (3, 9, 1, 12)
    for fatal in kills:
        assert run(tmp_path, image, fatal) == -signal.SIGKILL
    assert run(tmp_path, image, 1, "assembly.bytes-durable") == -signal.SIGKILL
    assert run(tmp_path, image, 0) == 0
    assert (tmp_path / "new").read_bytes() == content
    brought = (tmp_path / "log").read_text().split()
    images = Images(tmp_path)
    count = images.hold_file(image).index.count
    images.close()
    assert sorted(map(int, brought)) == list(range(count))
