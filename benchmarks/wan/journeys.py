"""`python -m benchmarks.wan.journeys FOLDER`: bring each new version in FOLDER to where the old one is held.

FOLDER has `v1`, `v2re` (built anew) and `v2up` (upgraded in place), each as `.raw`, `.qcow2`, `.zlib.qcow2`
and `.zstd.qcow2`; what is not there is left out.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.wan.chunks import Journey, Origin, bring, prepare
from skerry.chunking.packs import Effort

FORMATS = ("raw", "qcow2", "zlib.qcow2", "zstd.qcow2")
STEPS = ("plan", "packs", "assembly")


def journeys() -> Iterator[tuple[str, str]]:
    """(held or nothing, brought)."""
    for version in ("v2re", "v2up"):
        for form in FORMATS:
            yield f"v1.{form}", f"{version}.{form}"
    yield "v1.raw", "v2re.zlib.qcow2"
    yield "v1.zlib.qcow2", "v2re.raw"
    for form in FORMATS:
        yield "", f"v1.{form}"


def line(held: str, brought: str, effort: Effort, journey: Journey, origin: Origin) -> str:
    """A row of the table."""
    seconds = "".join(f"{journey.seconds[step]:10.2f}" for step in STEPS)
    names = f"{held or 'nothing':16}{brought:18}{effort.value:10}"
    size, on_line, index, missing = (
        count / 1e6 for count in (journey.size, journey.line, journey.index, journey.missing)
    )
    return f"{names}{size:8.1f}{on_line:9.2f}{index:7.2f}{missing:9.1f}{origin.seconds:8.1f}{seconds}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wan.journeys", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--effort", action="append", choices=[effort.value for effort in Effort])
    arguments = parser.parse_args()
    efforts = [Effort(name) for name in arguments.effort or ("quick",)]
    known: dict[str, Origin] = {}
    print("MB of the file, on the line, of which index, and missing; seconds of processor time")
    names = ("held", "brought", "effort", "file", "line", "index", "missing", "indexing", *STEPS)
    print("{:16}{:18}{:10}{:>8}{:>9}{:>7}{:>9}{:>8}{:>10}{:>10}{:>10}".format(*names))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for held, brought in journeys():
            if not all((arguments.folder / name).exists() for name in (held, brought) if name):
                continue
            for name in (held, brought):
                if name and name not in known:
                    known[name] = prepare(arguments.folder / name)
            for effort in efforts:
                journey = bring(known[brought], [known[held]] if held else [], effort, Path(folder))
                print(line(held, brought, effort, journey, known[brought]), flush=True)


if __name__ == "__main__":
    main()
