"""PostgreSQL, by psycopg."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from skerry.catalog.engines import LOCK_TIMEOUT, READERS
from skerry.catalog.reserve import Reserve
from skerry.core.errors import ConfigError, StoreFailed

_CLAIM = 0x736B65727279
"""The advisory lock that a site holds on its database: "skerry"."""

_OLDEST = 13
"""The first version with `pg_current_xact_id_if_assigned`."""

_STATEMENT_TIMEOUT = 30.0
"""Seconds for one statement."""

_SETTINGS = {
    "synchronous_commit": "on",
    "lock_timeout": f"{LOCK_TIMEOUT:g}s",
    "statement_timeout": f"{_STATEMENT_TIMEOUT:g}s",
    # A site whose machine is gone lets go of its claim after half a minute, not after hours.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_CONNECT = {
    "application_name": "skerry",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""libpq's settings; the query of a URL may say otherwise."""

_IN_USE = "Another skerry uses this database."
_LOCK_NOT_AVAILABLE = "55P03"
_INSUFFICIENT_PRIVILEGE = "42501"
_NO_SUCH_TRANSACTION = "22023"


class Postgresql:
    """`Engines` for a server.

    The one connection that writes holds an advisory lock from its first moment. So nothing is ever written
    without it, also after the server was away, and two sites cannot write to one database.
    """

    def __init__(self, url: URL, *, read_only: bool = False, setting: str = "[database] url") -> None:
        """Raises ConfigError for another driver than psycopg; ImportError when that is not installed."""
        if url.drivername not in ("postgresql", "postgresql+psycopg"):
            raise ConfigError(
                f"{setting} names the driver {url.get_driver_name()}.",
                hint="Write postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.",
            )
        url = url.set(drivername="postgresql+psycopg")
        self._setting = setting
        self._shown = url.render_as_string(hide_password=True)
        self.reserve: Reserve | None = None
        self.reading: Engine = _engine(url, READERS, default_transaction_read_only="on").execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self.writing: Engine = self.reading
        self.migrating: Engine = self.reading
        if not read_only:
            self.writing = self.migrating = _engine(url, 1)
            event.listen(self.writing, "connect", _claim)

    def exists(self) -> bool:
        """Whoever connects makes nothing."""
        return True

    def check(self, connection: Connection) -> None:
        """Refuse an old server, and a database that cannot hold every text; let a migration take its time."""
        version, encoding = connection.execute(
            text("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
        ).one()
        if version < _OLDEST * 10_000:
            raise ConfigError(
                f"{self._setting}: PostgreSQL {version // 10_000} is too old.",
                hint=f"Use version {_OLDEST} or later.",
            )
        if encoding != "UTF8":
            raise ConfigError(
                f"{self._setting}: the encoding of the database is {encoding}.",
                hint="Make it with: createdb --encoding UTF8 --template template0 NAME.",
            )
        connection.execute(text("SET LOCAL statement_timeout = 0"))

    def refusal(self, error: StoreFailed) -> ConfigError:
        """Somebody else uses it, the server does not answer, or it refuses."""
        if error.message == _IN_USE:
            return ConfigError(f"{self._setting}: {error.message}", hint="Stop it, or name another database.")
        cause = getattr(error.__cause__, "orig", None)
        said = str(cause or error.message).splitlines()[0]
        if getattr(cause, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
            remedy = f"Make the user of {self._setting} the owner of the database."
        elif "FATAL" in said or getattr(getattr(cause, "pgconn", None), "needs_password", False):
            remedy = (
                f"Check user, password and database name of {self._setting}, and the server's pg_hba.conf."
            )
        else:
            remedy = (
                f"Check host and port of {self._setting}, and that PostgreSQL runs there and can be reached."
            )
        return ConfigError(f"{self._setting}: {self._shown} cannot be used: {said}.", hint=remedy)

    def is_replicated(self, connection: Connection) -> bool:
        """Whether anybody is sent this server's log: a standby, or a subscription."""
        return bool(connection.scalar(text("SELECT EXISTS (SELECT FROM pg_stat_replication)")))

    def receipt(self, connection: Connection) -> str | None:
        """The number of the transaction; None when it has written nothing."""
        number = connection.scalar(text("SELECT pg_current_xact_id_if_assigned()::text"))
        return None if number is None else str(number)

    def landed(self, connection: Connection, receipt: str) -> bool | None:
        """By what the server remembers of the transaction."""
        try:
            status = connection.scalar(
                text("SELECT pg_xact_status(CAST(:number AS xid8))"), {"number": receipt}
            )
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _NO_SUCH_TRANSACTION:
                return False
            raise
        return None if status == "in progress" else status == "committed"

    def close(self) -> None:
        """Close all connections, and so let go of the claim."""
        self.reading.dispose()
        self.writing.dispose()


def _engine(url: URL, connections: int, **also: str) -> Engine:
    options = " ".join(f"-c {name}={value}" for name, value in (_SETTINGS | also).items())
    connect = {
        name: value for name, value in {**_CONNECT, "options": options}.items() if name not in url.query
    }
    return create_engine(
        url,
        connect_args=connect,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        pool_use_lifo=True,
    )


def _claim(connection: Any, _record: Any) -> None:
    """Take the lock, or wait for a site that ends just now; it is held until the connection ends."""
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (_CLAIM,))
        connection.commit()
    except Exception as error:
        connection.close()
        if getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise StoreFailed(_IN_USE) from error
        raise
