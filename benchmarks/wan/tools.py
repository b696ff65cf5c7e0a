"""The peers that bring a file to where an old one is, each at its best.

Delta tools (xdelta3, `zstd --patch-from`) are given both files at the origin, which nobody else has. What is
made once for an image or a pair does not count into the seconds; into the processor time it counts where it
has to be made for each pair anew.
"""

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from benchmarks.wan.trip import programs_time
from peers.install import program
from peers.process import HOST, run


class Tool(ABC):
    """`web` is a folder that the origin's web server serves; `served` are the images there."""

    name: str
    by_rsync = False
    """Whether it asks rsync's daemon, and not the web server."""

    def offer(self, held: Path, brought: Path, web: Path) -> float:
        """Make what the origin has to have; returns seconds of processor time that count."""
        return 0.0

    @abstractmethod
    def fetch(self, port: int, held: Path, name: str, made: Path) -> None:
        """At the edge: make `made` like the image `name`, over the line that begins at `port`."""


class Rsync(Tool):
    """With the block size that is best for disks. The old file is in place, as an operator would have it."""

    name = "rsync, zstd, 4 KiB blocks"
    by_rsync = True

    def offer(self, held: Path, brought: Path, web: Path) -> float:
        shutil.copyfile(held, web / "seed")
        return 0.0

    def fetch(self, port: int, held: Path, name: str, made: Path) -> None:
        (made.parent / "web" / "seed").rename(made)
        options = ("--compress", "--compress-choice=zstd", "--block-size=4096", "--ignore-times")
        run(program("rsync"), *options, f"rsync://{HOST}:{port}/files/{name}", made)


class Zsync(Tool):
    name = "zsync"

    def offer(self, held: Path, brought: Path, web: Path) -> float:
        run(program("zsyncmake"), "-u", brought.name, "-o", web / "image.zsync", brought)
        return 0.0

    def fetch(self, port: int, held: Path, name: str, made: Path) -> None:
        run(
            program("zsync"),
            "-q",
            "-i",
            held,
            "-o",
            made,
            f"http://{HOST}:{port}/image.zsync",
            cwd=made.parent,
        )


class Casync(Tool):
    name = "casync"

    def offer(self, held: Path, brought: Path, web: Path) -> float:
        run(program("casync"), "make", f"--store={web / 'chunks.castr'}", web / "image.caibx", brought)
        return 0.0

    def fetch(self, port: int, held: Path, name: str, made: Path) -> None:
        url = f"http://{HOST}:{port}"
        run(
            program("casync"), "extract", f"--store={url}/chunks.castr", f"--seed={held}",
            f"{url}/image.caibx", made,
        )  # fmt: skip


class Xdelta(Tool):
    name = "xdelta3 -6, given both files"

    def offer(self, held: Path, brought: Path, web: Path) -> float:
        before, window = programs_time(), str(max(held.stat().st_size, 1 << 20))
        run(program("xdelta3"), "-e", "-f", "-6", "-B", window, "-s", held, brought, web / "delta")
        return programs_time() - before

    def fetch(self, port: int, held: Path, name: str, made: Path) -> None:
        delta = _download(port, "delta", made)
        run(program("xdelta3"), "-d", "-f", "-B", str(held.stat().st_size), "-s", held, delta, made)
        delta.unlink()


class ZstdPatch(Tool):
    name = "zstd -3 --patch-from, given both files"

    def offer(self, held: Path, brought: Path, web: Path) -> float:
        before, delta = programs_time(), web / "delta"
        run(program("zstd"), "-q", "-f", "-3", "--long=31", f"--patch-from={held}", brought, "-o", delta)
        return programs_time() - before

    def fetch(self, port: int, held: Path, name: str, made: Path) -> None:
        delta = _download(port, "delta", made)
        run(program("zstd"), "-q", "-f", "-d", "--long=31", f"--patch-from={held}", delta, "-o", made)
        delta.unlink()


class Zstd(Tool):
    name = "zstd -3 --long of the file"

    def offer(self, held: Path, brought: Path, web: Path) -> float:
        run(program("zstd"), "-q", "-f", "-3", "--long=27", brought, "-o", web / "image.zst")
        return 0.0

    def fetch(self, port: int, held: Path, name: str, made: Path) -> None:
        packed = _download(port, "image.zst", made)
        run(program("zstd"), "-q", "-f", "-d", "--long=27", packed, "-o", made)
        packed.unlink()


TOOLS: tuple[Tool, ...] = (Rsync(), Zsync(), Casync(), Xdelta(), ZstdPatch(), Zstd())


def versions() -> dict[str, str]:
    """The versions of their Debian packages."""
    packages = ("rsync", "zsync", "casync", "xdelta3", "zstd")
    said = run("dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *packages)
    return dict(line.split() for line in said.splitlines())


def _download(port: int, name: str, made: Path) -> Path:
    file = made.with_name(f"{made.name}.{name}")
    run(program("curl"), "-sS", "--fail", "-o", file, f"http://{HOST}:{port}/{name}")
    return file
