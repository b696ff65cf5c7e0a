"""Transactions: whole or not at all, whatever happens."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from skerry.catalog import database as module
from skerry.catalog import sqlite
from skerry.catalog.database import Database
from skerry.core.errors import ConfigError, InvalidInput, NoSpace, StoreFailed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "skerry.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{path}")
    await database.open()
    await database.write(lambda connection: connection.execute(text("CREATE TABLE notes (note TEXT)")))
    yield database
    await database.close()


def _add(connection: Connection, note: str = "note") -> None:
    connection.execute(text("INSERT INTO notes VALUES (:note)"), {"note": note})


def _notes(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT note FROM notes ORDER BY note")))


async def test_what_was_written_is_found_by_the_next_process(database: Database, path: Path) -> None:
    await database.write(_add)

    other = Database(f"sqlite:///{path}")
    await other.open()
    found = await other.read(_notes)
    await other.close()

    assert found == ["note"]


async def test_a_transaction_that_fails_leaves_nothing_and_calls_nobody(database: Database) -> None:
    landed = []

    def work(connection: Connection) -> None:
        _add(connection)
        database.when_landed(lambda: landed.append("followed"))
        raise KeyError

    with pytest.raises(KeyError):
        await database.write(work)
    await database.write(lambda connection: None)

    assert await database.read(_notes) == []
    assert landed == []


async def test_memory_follows_on_the_thread_of_the_loop_after_the_commit(database: Database) -> None:
    followed: list[tuple[threading.Thread, list[str]]] = []

    def work(connection: Connection) -> None:
        assert threading.current_thread() is not threading.main_thread()
        _add(connection)
        path = connection.engine.url.database
        assert path is not None
        database.when_landed(lambda: followed.append((threading.current_thread(), _seen_from_outside(path))))

    await database.write(work)

    assert followed == [(threading.main_thread(), ["note"])]


def _seen_from_outside(path: str) -> list[str]:
    outside = sqlite3.connect(path)
    try:
        return [note for (note,) in outside.execute("SELECT note FROM notes")]
    finally:
        outside.close()


async def test_a_caller_that_goes_away_waits_for_the_transaction_that_has_begun(database: Database) -> None:
    loop = asyncio.get_running_loop()
    begun, go_on = asyncio.Event(), threading.Event()
    landed = []

    def work(connection: Connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()
        _add(connection)
        database.when_landed(lambda: landed.append("followed"))

    writing = asyncio.ensure_future(database.write(work))
    await begun.wait()
    writing.cancel()
    await asyncio.sleep(0)
    assert not writing.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert landed == ["followed"]
    assert await database.read(_notes) == ["note"]


async def test_a_caller_that_goes_away_before_its_turn_writes_nothing(database: Database) -> None:
    loop = asyncio.get_running_loop()
    begun, go_on = asyncio.Event(), threading.Event()

    def first(connection: Connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()
        _add(connection, "first")

    writing = asyncio.ensure_future(database.write(first))
    await begun.wait()
    waiting = asyncio.ensure_future(database.write(lambda connection: _add(connection, "second")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await writing

    assert await database.read(_notes) == ["first"]


async def test_readers_see_the_old_state_until_the_new_one_is_whole(database: Database) -> None:
    loop = asyncio.get_running_loop()
    halfway, go_on = asyncio.Event(), threading.Event()

    def work(connection: Connection) -> None:
        _add(connection, "a")
        loop.call_soon_threadsafe(halfway.set)
        go_on.wait()
        _add(connection, "b")

    writing = asyncio.ensure_future(database.write(work))
    await halfway.wait()
    before = await database.read(_notes)
    go_on.set()
    await writing

    assert before == []
    assert await database.read(_notes) == ["a", "b"]


async def test_a_full_disk_keeps_the_old_state_and_everything_readable(database: Database) -> None:
    await database.write(_add)

    def fill(connection: Connection) -> None:
        pages = connection.scalar(text("PRAGMA page_count"))
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))

    await database.write(fill)
    with pytest.raises(NoSpace):
        await database.write(lambda connection: _add(connection, "x" * 100_000))

    assert await database.read(_notes) == ["note"]


async def test_what_makes_room_uses_the_reserve_of_a_full_disk_and_puts_it_by_again(
    database: Database, path: Path
) -> None:
    reserve = path.with_name("skerry.db-reserve")
    assert reserve.stat().st_blocks * 512 >= 8 << 20
    landed = []

    def delete(connection: Connection) -> None:
        _add(connection)
        database.when_landed(lambda: landed.append("followed"))
        if reserve.exists():
            raise NoSpace("The disk is as full as it is while the reserve lies on it.")

    with pytest.raises(NoSpace):
        await database.write(delete)
    assert reserve.exists()

    await database.write(delete, makes_room=True)

    assert reserve.exists()
    assert landed == ["followed"]
    assert await database.read(_notes) == ["note"]


async def test_without_a_reserve_a_full_disk_is_said_to_be_full(database: Database, path: Path) -> None:
    path.with_name("skerry.db-reserve").unlink()

    def fail(connection: Connection) -> None:
        raise NoSpace("full")

    with pytest.raises(NoSpace):
        await database.write(fail, makes_room=True)


async def test_a_disk_with_no_room_for_a_reserve_is_no_reason_not_to_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_RESERVE", 1 << 60)
    database = Database(f"sqlite:///{path}")
    await database.open()
    await database.close()

    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_database_that_somebody_else_keeps_locked_is_an_error_that_may_pass(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.01)
    database = Database(f"sqlite:///{path}")
    await database.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreFailed, match="locked") as caught:
        await database.write(lambda connection: None)
    assert caught.value.retry
    other.close()
    await database.write(lambda connection: None)
    await database.close()


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"This is a text about databases. " * 1000)
    database = Database(f"sqlite:///{path}")

    with pytest.raises(ConfigError, match="not a database"):
        await database.open()
    await database.close()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'no' / 'such.db'}")

    with pytest.raises(ConfigError, match=r"such\.db: .* unable to open"):
        await database.open()
    await database.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="memory"):
        Database(url)


@pytest.mark.parametrize("url", ["skerry.db", "nosuchdatabase://h/d", "sqlite+nosuchdriver:////tmp/x.db"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[database\] url"):
        Database(url)


@pytest.mark.parametrize("url", ["mysql+pymysql://h/d", "oracle://h/d"])
def test_a_database_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no support for"):
        Database(url)


def test_postgresql_without_its_driver_is_refused_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigError, match=r"pip install 'skerry\[postgresql\]'"):
        Database("postgresql+psycopg://skerry@localhost/skerry")


def test_postgresql_by_another_driver_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"psycopg2.*Write postgresql\+psycopg://"):
        Database("postgresql+psycopg2://skerry@localhost/skerry")


@pytest.mark.parametrize("value", ["\ud800", 1 << 63])
async def test_a_value_that_no_database_can_hold_is_the_callers_mistake(
    database: Database, value: object
) -> None:
    with pytest.raises(InvalidInput):
        await database.write(
            lambda connection: connection.execute(text("INSERT INTO notes VALUES (:note)"), {"note": value})
        )


async def test_nobody_waits_for_ever_for_a_database_that_hangs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    loop = asyncio.get_running_loop()
    begun, go_on = asyncio.Event(), threading.Event()

    def hang(connection: Connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()
        _add(connection)

    hanging = asyncio.ensure_future(database.write(hang))
    await begun.wait()
    try:
        with pytest.raises(StoreFailed, match="does not answer"):
            await database.write(_add)
        with pytest.raises(StoreFailed, match="does not answer"):
            await database.read(lambda connection: go_on.wait())
        assert not hanging.done(), "what has begun runs to its end"
    finally:
        go_on.set()
    await hanging

    assert await database.read(_notes) == ["note"]


async def test_many_writers_and_readers_at_once_all_come_through(database: Database) -> None:
    notes = [f"{n:03}" for n in range(50)]

    async def write(note: str) -> None:
        await database.write(lambda connection: _add(connection, note))
        assert note in await database.read(_notes)

    await asyncio.gather(*(write(note) for note in notes))

    assert await database.read(_notes) == notes
