"""MariaDB on a Unix socket alone, with the databases that were asked for."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

from peers.install import program
from peers.process import Daemon, Peer, run


class MariaDB(Peer):
    """A database server in a folder of its own; the folder's data is kept between starts."""

    def __init__(self, folder: Path, databases: tuple[str, ...] = ("keystone", "glance")) -> None:
        self.folder = folder
        self.socket = folder / "sock"
        self._databases = databases
        # --init-file runs before the server accepts connections
        command = (
            program("mariadbd"), "--no-defaults", "--skip-networking", f"--user={getpass.getuser()}",
            f"--datadir={folder / 'data'}", f"--socket={self.socket}", f"--pid-file={folder / 'pid'}",
            f"--init-file={folder / 'init.sql'}", "--innodb-buffer-pool-size=256M", "--max-connections=300",
            "--character-set-server=utf8mb4",
        )  # fmt: skip
        self.daemon = Daemon("mariadb", command, folder / "log", self._answers)

    def start(self) -> None:
        data = self.folder / "data"
        if not data.exists():
            data.mkdir(parents=True)
            run(
                program("mariadb-install-db"), "--no-defaults", f"--user={getpass.getuser()}",
                "--force", "--skip-test-db", f"--datadir={data}", "--auth-root-authentication-method=normal",
            )  # fmt: skip
        create = "CREATE DATABASE IF NOT EXISTS `{}` CHARACTER SET utf8mb3;\n"
        (self.folder / "init.sql").write_text("".join(create.format(name) for name in self._databases))
        super().start()

    def url(self, database: str) -> str:
        """SQLAlchemy's address of one database."""
        return f"mysql+pymysql://root@localhost/{database}?unix_socket={self.socket}&charset=utf8mb3"

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
                return bool(probe.recv(1))
        except OSError:
            return False
