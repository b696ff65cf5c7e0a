"""PostgreSQL with a cluster of its own; those of the system are neither needed nor touched."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from peers.install import program
from peers.process import HOST, Daemon, Peer, PeerError, free_port, run

USER = "skerry"
PASSWORD = "pass:w@rd/%"
ACCESS = "local all all trust\nhost all all all scram-sha-256\n"


class PostgreSQL(Peer):
    """A database server in a folder of its own; the folder's data is kept between starts.

    By its Unix socket, which is in the folder, everybody is believed to be who they say; by TCP `USER` needs
    `PASSWORD`. The server refuses to run as root, so root runs it as the user that Debian's package makes;
    that user must be able to reach the folder.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._data = folder / "data"
        drop = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=TERM")
        self._as_user = drop if os.getuid() == 0 else ()
        command = (
            *self._as_user, _program("postgres"), "-D", self._data, "-p", str(self.port), "-k", folder,
            "-h", HOST, "-B", "32MB",
        )  # fmt: skip
        self.daemon = Daemon("postgresql", command, folder / "log", self._answers)

    def start(self) -> None:
        if not self._data.exists():
            self._make()
            super().start()
            self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        else:
            super().start()

    def stop(self) -> None:
        """End all sessions, then the server, in order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it at once; the next start has to recover."""
        self._end(signal.SIGQUIT)

    def create(self, database: str, *options: str) -> str:
        """Make a database that belongs to `USER`; returns its address by the socket."""
        self._client("createdb", "--owner", USER, *options, database)
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever uses it."""
        self._client("dropdb", "--force", database)

    def url(self, database: str) -> str:
        """SQLAlchemy's address of one database, by the socket."""
        return f"postgresql+psycopg://{USER}@/{database}?host={self.folder}&port={self.port}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser; what it answers, without headings."""
        return self._client("psql", "--no-psqlrc", "-qAt", "-c", statement, "-d", database).strip()

    def tables(self, database: str) -> str:
        """The tables of a database as statements that make them."""
        dump = self._client("pg_dump", "--schema-only", "--exclude-table=alembic_version", database)
        return "".join(line for line in dump.splitlines(keepends=True) if not line.startswith("\\"))

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._as_user:
            shutil.chown(self.folder, "postgres", "postgres")
        run(
            *self._as_user, _program("initdb"), "-D", self._data, "-U", "postgres", "--auth=trust",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", cwd=self.folder,
        )  # fmt: skip
        (self._data / "pg_hba.conf").write_text(ACCESS)

    def _end(self, number: signal.Signals) -> None:
        if self.daemon.running:
            os.kill(self.daemon.pid, number)
        super().stop()

    def _client(self, name: str, *words: str) -> str:
        return run(_program(name), "-h", self.folder, "-p", str(self.port), "-U", "postgres", *words)

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except PeerError:
            return False
        return True


def _program(name: str) -> Path:
    # what Debian has in /usr/bin by these names looks for a cluster of the system
    return program("postgres").resolve().with_name(name)
