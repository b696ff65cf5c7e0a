"""SQLite: one file, in WAL mode."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from skerry.catalog.engines import LOCK_TIMEOUT, READERS
from skerry.catalog.reserve import Reserve
from skerry.core.errors import ConfigError, StoreFailed

_RESERVE = 8 << 20
"""Bytes. SQLite's log is written back at 4 MiB, so that this much lets any number of deletes through."""


class Sqlite:
    """`Engines` for a file."""

    def __init__(self, url: URL, *, read_only: bool = False) -> None:
        """Raises ConfigError for a database in memory."""
        if url.database in (None, "", ":memory:"):
            raise ConfigError(
                "[database] url names a database in memory.",
                hint="Write a URL such as sqlite:////path/to.db.",
            )
        self._path = Path(str(url.database))
        self.reserve: Reserve | None = None if read_only else Reserve(Path(f"{self._path}-reserve"), _RESERVE)
        self.reading = _engine(url, pool_size=READERS + 1)
        if read_only:
            event.listen(self.reading, "connect", _keep_from_writing)
        self.writing: Engine = self.reading.execution_options(writing=True)
        once = _engine(url, poolclass=NullPool)  # what is set for migrating shall reach nothing else
        self.migrating: Engine = once.execution_options(writing=True, migrating=True)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    def check(self, connection: Connection) -> None:
        """Any file will do."""

    def refusal(self, error: StoreFailed) -> ConfigError:
        """The file cannot be used."""
        return ConfigError(
            f"[database] url: {self._path}: {error.message}",
            hint="Name a file in a folder that this user may write, made by Skerry or by nobody yet.",
        )

    def is_replicated(self, connection: Connection) -> bool:
        """Never."""
        return False

    def receipt(self, connection: Connection) -> None:
        """A commit lands or fails, and says so."""

    def landed(self, connection: Connection, receipt: str) -> bool | None:
        """Never in doubt, see `receipt`."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        self.reading.dispose()


def _engine(url: URL, **pool: Any) -> Engine:
    engine = create_engine(url, connect_args={"isolation_level": None, "timeout": LOCK_TIMEOUT}, **pool)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: Any) -> None:
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {setting}")


def _keep_from_writing(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA query_only=ON")


def _begin(connection: Connection) -> None:
    """Take the lock at the start when writing, so that no transaction fails halfway for want of it."""
    options = connection.get_execution_options()
    if options.get("migrating"):  # SQLite rebuilds a table by dropping it, which must not cascade.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writing") else "BEGIN")
