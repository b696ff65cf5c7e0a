"""rsync's daemon, serving the files of a folder to read."""

from __future__ import annotations

import socket
from pathlib import Path

from peers.install import program
from peers.process import HOST, Daemon, Peer, free_port

CONF = """\
use chroot = no
lock file = {folder}/lock
[files]
path = {served}
uid = {user}
gid = {group}
"""


class Rsync(Peer):
    """The file `name` in `served` is `rsync://HOST:PORT/files/name`."""

    def __init__(self, folder: Path, served: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        conf = folder / "rsyncd.conf"
        owner = served.stat()
        conf.write_text(CONF.format(folder=folder, served=served, user=owner.st_uid, group=owner.st_gid))
        command = (
            program("rsync"), "--daemon", "--no-detach", f"--address={HOST}", f"--port={self.port}",
            f"--config={conf}",
        )  # fmt: skip
        self.daemon = Daemon("rsync", command, folder / "log", self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=5) as probe:
                return probe.recv(8) == b"@RSYNCD:"
        except OSError:
            return False
