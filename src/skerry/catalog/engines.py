"""What `Database` asks of the kind of database behind it; all of it blocks."""

from typing import Protocol

from sqlalchemy import Connection, Engine

from skerry.catalog.reserve import Reserve
from skerry.core.errors import ConfigError, StoreFailed

READERS = 4
"""Transactions that read at the same time, at most."""
LOCK_TIMEOUT = 10.0
"""Seconds to wait for a lock that somebody else holds on the database."""


class Engines(Protocol):
    """The connections to one database, and what its kind does in a way of its own."""

    reading: Engine
    """For transactions that see one state of the database."""
    writing: Engine
    """For transactions that write, one at a time."""
    migrating: Engine
    """For the one that makes or changes tables."""
    reserve: Reserve | None
    """Disk space put by, where the database is a file of this site's."""

    def exists(self) -> bool:
        """Whether there is something to connect to; connecting may make it otherwise."""
        ...

    def check(self, connection: Connection) -> None:
        """Refuse a database that cannot hold a catalogue. Raises ConfigError."""
        ...

    def refusal(self, error: StoreFailed) -> ConfigError:
        """Why the database could not be opened and what to do about it, for an operator."""
        ...

    def is_replicated(self, connection: Connection) -> bool:
        """Whether other servers follow this one now."""
        ...

    def receipt(self, connection: Connection) -> str | None:
        """What `landed` needs, asked for before a commit; None when a commit can leave no doubt."""
        ...

    def landed(self, connection: Connection, receipt: str) -> bool | None:
        """Whether a commit whose answer was lost has landed; None while that is open."""
        ...

    def close(self) -> None:
        """Let go of all connections."""
        ...
