"""The database: worker threads, transactions, and what its errors mean."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, delete, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, OperationalError

from skerry.catalog import schema
from skerry.catalog.engines import READERS, Engines
from skerry.catalog.postgresql import Postgresql
from skerry.catalog.sqlite import Sqlite
from skerry.core.errors import ConfigError, Conflict, InvalidInput, NoSpace, SkerryError, StoreFailed

log = logging.getLogger(__name__)

T = TypeVar("T")

_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "53100")
"""What SQLite and PostgreSQL call a full disk."""
_AWAY = "The database does not answer."
_PATIENCE = 45.0
"""Seconds to wait for a result or for one's turn; longer than any statement may take."""
_ASK_AGAIN = 0.5
"""Seconds between two questions whether a commit has landed."""


class Database:
    """One SQL database. Readers run side by side, writers one after the other; both on worker threads.

    A committed transaction is on the disk. A full disk is NoSpace, any other trouble StoreFailed; both pass
    by themselves when their cause does.

    One program at a time writes a database. One that is `read_only` may be written by others all the while.
    """

    def __init__(self, url: str, *, read_only: bool = False, setting: str = "[database] url") -> None:
        """Name the database as SQLAlchemy does; nothing is opened yet. Raises ConfigError.

        `setting` is where the name was given.
        """
        self._engines = _engines(url, read_only, setting)
        self._read_only = read_only
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="database-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="database-write")
        self._one_writer = asyncio.Lock()
        self._landed: list[Callable[[], None]] = []
        self._in_doubt = False

    async def open(self) -> None:
        """Make the tables of a new database, or bring those of an older version up to this one.

        One that is only read has to have them. Raises ConfigError when it cannot be used, as it is or at all.
        """
        if self._read_only:
            await self._check_version()
            return
        try:
            await self._write(self._engines.migrating, self._prepare, makes_room=True)
        except StoreFailed as error:
            raise self._engines.refusal(error) from error

    async def version(self) -> str | None:
        """The migration that the tables are at, or None; changes nothing. Raises ConfigError."""
        if not self._engines.exists():
            return None
        try:
            return await self.read(_version)
        except StoreFailed as error:
            raise self._engines.refusal(error) from error

    async def _check_version(self) -> None:
        version = await self.version()
        if version != schema.HEAD:
            raise ConfigError(
                f"The tables of the database are at version {version}, this program needs {schema.HEAD}.",
                hint="Run the same version of Skerry everywhere.",
            )

    async def is_replicated(self) -> bool:
        """Whether other database servers follow this one now."""
        return await self.read(self._engines.is_replicated)

    async def close(self) -> None:
        """Finish what runs and let go of the database."""
        await asyncio.to_thread(self._close)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` finds in one consistent state of the database.

        When the caller is cancelled, `work` goes on to its end and its result is dropped.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(self._readers, self._look, work)
        except TimeoutError:
            raise StoreFailed(_AWAY) from None

    async def write(self, work: Callable[[Connection], T], *, makes_room: bool = False) -> T:
        """Run `work` in one durable transaction; what it raises undoes all of it.

        A transaction that has begun runs to its end, also when the caller is cancelled: the cancellation goes
        on once memory and database agree again. What `makes_room` goes through on a full disk as well; its
        `work` may then run twice.

        When the answer to a commit was lost with the server, this waits for the server to say whether it has
        landed. What else is to be written meanwhile is StoreFailed at once.
        """
        return await self._write(self._engines.writing, work, makes_room)

    def when_landed(self, follow: Callable[[], None]) -> None:
        """From inside a `write`: call `follow` on the event loop's thread after the commit, and only then."""
        self._landed.append(follow)

    async def _write(self, engine: Engine, work: Callable[[Connection], T], makes_room: bool) -> T:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._one_writer.acquire()
        except TimeoutError:
            raise StoreFailed(_AWAY) from None
        return await _to_its_end(self._turn(engine, work, makes_room))

    async def _turn(self, engine: Engine, work: Callable[[Connection], T], makes_room: bool) -> T:
        """Write, with the lock that the caller has taken."""
        attempt = self._change_with_reserve if makes_room else self._change
        try:
            if self._in_doubt:
                raise StoreFailed(_AWAY)
            landed = self._landed = []
            loop = asyncio.get_running_loop()
            result, receipt = await loop.run_in_executor(self._writer, attempt, engine, work)
            self._in_doubt = receipt is not None
        finally:
            self._one_writer.release()
        if receipt is not None:
            await self._settle(receipt)
        for follow in landed:
            follow()
        return result

    async def _settle(self, receipt: str) -> None:
        """Wait for the end of a doubt; StoreFailed when the transaction has not landed."""
        log.warning("the database went away while it committed; waiting for its word on %s", receipt)
        landed = None
        try:
            while landed is None:
                with suppress(StoreFailed):
                    landed = await self.read(lambda connection: self._engines.landed(connection, receipt))
                if landed is None:
                    await asyncio.sleep(_ASK_AGAIN)
        finally:
            self._in_doubt = False
        log.warning("transaction %s has %s", receipt, "landed" if landed else "not landed")
        if not landed:
            raise StoreFailed(_AWAY)

    # On worker threads

    def _look(self, work: Callable[[Connection], T]) -> T:
        with _explained(), self._engines.reading.connect() as connection, connection.begin():
            return work(connection)

    def _change(self, engine: Engine, work: Callable[[Connection], T]) -> tuple[T, str | None]:
        """What `work` returned, and the receipt of a commit of which nobody knows whether it has landed."""
        with _explained(), engine.connect() as connection, connection.begin() as transaction:
            result = work(connection)
            receipt = self._engines.receipt(connection)
            try:
                transaction.commit()
            except DBAPIError as error:
                if receipt is None or not error.connection_invalidated:
                    raise
                return result, receipt
        return result, None

    def _change_with_reserve(self, engine: Engine, work: Callable[[Connection], T]) -> tuple[T, str | None]:
        reserve = self._engines.reserve
        try:
            done = self._change(engine, work)
        except NoSpace:
            if reserve is None or not reserve.release():
                raise
            self._landed.clear()
            done = self._change(engine, work)
        if reserve is not None:
            reserve.keep()
        return done

    def _prepare(self, connection: Connection) -> None:
        self._engines.check(connection)
        if not inspect(connection).has_table("alembic_version"):
            schema.metadata.create_all(connection)
            connection.execute(insert(schema.counters).values(name="revision", value=0))
            connection.execute(
                text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
            )
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": schema.HEAD})
        elif _version(connection) != schema.HEAD:
            from skerry.catalog import migrations  # Alembic is slow to import and rarely needed

            migrations.upgrade(connection)
        _tell_version(connection)

    def _close(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        self._engines.close()


def _engines(url: str, read_only: bool, setting: str) -> Engines:
    try:
        name = make_url(url)
        match name.get_backend_name():
            case "sqlite":
                return Sqlite(name, read_only=read_only)
            case "postgresql":
                return Postgresql(name, read_only=read_only, setting=setting)
            case other:
                problem = f"there is no support for {other}"
    except ModuleNotFoundError as missing:
        if missing.name == "psycopg":
            raise ConfigError(
                f"{setting} needs psycopg, which is not installed.",
                hint="Install it: pip install 'skerry[postgresql]'.",
            ) from None
        problem = str(missing)
    except (ArgumentError, ImportError) as wrong:
        problem = str(wrong)
    raise ConfigError(
        f"{setting} cannot be used: {problem}.",
        hint="Write a URL such as sqlite:////path/to.db or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.",
    )


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _tell_version(connection: Connection) -> None:
    """Have a counter say what the tables are. It travels to replicas, which have tables of their own."""
    told = select(schema.counters.c.value).where(schema.counters.c.name == schema.VERSION)
    if connection.scalar(told) != int(schema.HEAD):
        connection.execute(delete(schema.counters).where(schema.counters.c.name == schema.VERSION))
        connection.execute(insert(schema.counters).values(name=schema.VERSION, value=int(schema.HEAD)))


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which goes on to its end when the caller is cancelled; then that goes on."""
    running = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()
        raise cancelled
    return running.result()


@contextmanager
def _explained() -> Iterator[None]:
    """Say what went wrong in the words of the product."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise _explain(error) from error
    except (OverflowError, UnicodeEncodeError) as error:
        raise InvalidInput(f"A value cannot be kept: {error}.") from error


def _explain(error: DBAPIError | sqlite3.Error) -> SkerryError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if getattr(cause, "sqlite_errorname", "") in _FULL or getattr(cause, "sqlstate", "") in _FULL:
        return NoSpace("The disk of the database is full.", hint="Make room, then try again.")
    if isinstance(error, IntegrityError):
        return Conflict(f"The database refuses it: {cause}.")
    if isinstance(error, DataError):
        return InvalidInput(f"A value cannot be kept: {cause}.")
    if isinstance(error, DBAPIError) and (error.connection_invalidated or _unanswered(error)):
        return StoreFailed(_AWAY)
    return StoreFailed(f"The database failed: {cause}.")


def _unanswered(error: DBAPIError) -> bool:
    """Whether PostgreSQL was not reached: what it says itself has a code."""
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") is None
