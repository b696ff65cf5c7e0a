"""A machine whose disk is an image of a site, read over HTTP by qemu's own driver."""

from __future__ import annotations

import time
from pathlib import Path

from peers.install import program
from peers.process import Daemon, Peer, PeerError


class Machine(Peer):
    """A PC that starts at once from the disk at `url` and writes nothing to it.

    It is emulated, as no machine that tests run on has to have virtual ones. `console` is what it prints on
    its serial line.
    """

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._console = folder / "console"
        command = (
            program("qemu-system-x86_64"), "-accel", "tcg", "-m", "256", "-nodefaults", "-no-reboot",
            "-display", "none", "-serial", f"file:{self._console}",
            "-drive", f"if=none,id=disk,format=raw,readonly=on,file={url}",
            "-device", "virtio-blk-pci,drive=disk",
        )  # fmt: skip
        self.daemon = Daemon("qemu", command, folder / "log", self._console.exists)

    @property
    def console(self) -> str:
        return self._console.read_text(errors="replace")

    def prints(self, text: str, *, within: float) -> str:
        """Return the first line with `text` once it is printed; `PeerError` with the console if it is not."""
        deadline = time.monotonic() + within
        while True:
            for line in self.console.splitlines(keepends=True):
                if text in line and line.endswith("\n"):
                    return line.strip()
            if time.monotonic() > deadline:
                log = self.daemon.log.read_text(errors="replace")
                raise PeerError(f"no {text!r} within {within:g} s:\n{log}{self.console[-2000:]}")
            time.sleep(0.05)
