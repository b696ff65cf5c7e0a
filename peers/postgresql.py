"""PostgreSQL with a cluster of its own; those of the system are neither needed nor touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

from peers.install import program
from peers.process import HOST, Daemon, Peer, PeerError, eventually, free_port, run

USER = "skerry"
PASSWORD = "pass:w@rd/%"
ACCESS = """\
local all all trust
local replication all trust
host all all all scram-sha-256
host replication all all scram-sha-256
"""


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
            "-h", HOST, "-B", "32MB", "-c", "wal_level=logical",
        )  # fmt: skip
        self.daemon = Daemon("postgresql", command, folder / "log", self._answers)

    def start(self) -> None:
        new = not self._data.exists()
        if new:
            self._make()
        super().start()
        if new:
            self._begin()

    def stop(self) -> None:
        """End all sessions, then the server, in order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it at once; the next start has to recover."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """SIGKILL for the server and all its processes, which are in no group of its."""
        family = [self.daemon.pid, *_children(self.daemon.pid)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemon.kill()
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "the end of the server")

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

    def reached_by(self, database: str, port: int | None = None) -> str:
        """How another server reaches a database by TCP as `USER`, in libpq's words."""
        return f"host={HOST} port={port or self.port} dbname={database} user={USER} password={PASSWORD}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser; what it answers, without headings."""
        return self._client("psql", "--no-psqlrc", "-qAt", "-c", statement, "-d", database).strip()

    def script(self, statements: str, database: str) -> None:
        """Run statements as the superuser, one by one."""
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(statements)
            file.flush()
            self._client(
                "psql", "--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1", "-f", file.name, "-d", database
            )

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

    def _begin(self) -> None:
        """What a new server is told first."""
        self.sql(f"CREATE ROLE {USER} LOGIN REPLICATION PASSWORD '{PASSWORD}'")

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


class Standby(PostgreSQL):
    """A streaming standby: all of another server, always a little later. `words` say how it reaches that."""

    def __init__(self, folder: Path, words: str) -> None:
        super().__init__(folder)
        self._words = words

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._as_user:
            shutil.chown(self.folder, "postgres", "postgres")
        run(
            *self._as_user, _program("pg_basebackup"), "-D", self._data, "-R", "--checkpoint=fast",
            "--no-sync", "-d", self._words, cwd=self.folder,
        )  # fmt: skip

    def _begin(self) -> None:
        """It knows all that the other knows."""


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _program(name: str) -> Path:
    # what Debian has in /usr/bin by these names looks for a cluster of the system
    return program("postgres").resolve().with_name(name)
