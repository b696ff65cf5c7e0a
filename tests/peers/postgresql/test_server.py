"""What a real server does to a site's database: it goes away, fills up, is locked, refuses."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from sqlalchemy import Connection, create_engine, text

from peers.postgresql import PASSWORD, USER, PostgreSQL
from peers.process import eventually, run
from skerry.catalog import migrations
from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.core.errors import ConfigError, InvalidInput, NoSpace, StoreFailed
from skerry.core.image import Image
from tests.simulators.clock import ManualClock

NewImage = Callable[..., Image]
IMPATIENT = "&options=-c%20lock_timeout%3D100ms%20-c%20statement_timeout%3D200ms"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    try:
        await database.open()
        yield database
    finally:
        await database.close()


def name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


@pytest.mark.parametrize("name", ["a\0b", "x" * 256])
async def test_a_value_that_no_database_can_hold_is_the_callers_mistake(
    records: Records, new_image: NewImage, name: str
) -> None:
    with pytest.raises(InvalidInput, match="cannot be kept"):
        await records.create(new_image(1, name=name))


# Starting


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg://{user}:wrong@127.0.0.1:{port}/{name}", "password .* Check user, password"),
        ("postgresql+psycopg://{user}@127.0.0.1:{port}/{name}", "password .* Check user, password"),
        (
            "postgresql+psycopg://{user}:{password}@127.0.0.1:{port}/none",
            "not exist.* Check .* database name",
        ),
        ("postgresql+psycopg://{user}:{password}@127.0.0.1:1/{name}", "refused.* Check host and port"),
        ("postgresql+psycopg://{user}@/{name}?host=/no/such/folder", "No such file.* Check host and port"),
    ],
)
async def test_a_url_that_does_not_work_says_why_and_what_to_check(
    database_url: str, postgresql: PostgreSQL, url: str, said: str
) -> None:
    password = quote(PASSWORD, safe="")
    url = url.format(user=USER, password=password, port=postgresql.port, name=name_of(database_url))

    for attempt in (Database.open, Database.version):
        database = Database(url)
        with pytest.raises(ConfigError, match=said) as caught:
            await attempt(database)
        await database.close()
        assert password not in str(caught.value)


async def test_a_password_works_over_tcp(database_url: str, postgresql: PostgreSQL) -> None:
    where = f"127.0.0.1:{postgresql.port}/{name_of(database_url)}"
    async with opened(f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{where}") as database:
        assert await database.version()


async def test_a_database_that_cannot_hold_every_name_is_refused(new_database: Callable[..., str]) -> None:
    url = new_database("--encoding=SQL_ASCII", "--locale=C", "--template=template0")
    with pytest.raises(ConfigError, match=r"SQL_ASCII.*--encoding UTF8"):
        async with opened(url):
            pass


async def test_a_user_that_may_make_no_tables_is_told_so(database_url: str, postgresql: PostgreSQL) -> None:
    postgresql.sql(f"ALTER DATABASE {name_of(database_url)} OWNER TO postgres")
    with pytest.raises(ConfigError, match=r"permission denied.* owner of the database"):
        async with opened(database_url):
            pass


async def test_the_migrations_lead_to_the_tables_of_a_new_database(
    new_database: Callable[..., str], postgresql: PostgreSQL
) -> None:
    new, migrated = new_database(), new_database()
    async with opened(new):
        pass
    engine = create_engine(migrated)
    with engine.begin() as connection:
        migrations.upgrade(connection)
    engine.dispose()

    assert postgresql.tables(name_of(migrated)) == postgresql.tables(name_of(new)) != ""


# One site a database


async def test_a_second_site_is_kept_out_until_the_first_has_gone(database_url: str) -> None:
    async with opened(database_url):
        with pytest.raises(ConfigError, match="Another skerry uses this database"):
            async with opened(database_url + IMPATIENT):
                pass
        other = Database(database_url)
        assert await other.version(), "looking is free"
        await other.close()

    async with opened(database_url + IMPATIENT) as second:
        assert await second.version()


async def test_a_second_site_is_kept_out_after_the_server_was_restarted(
    database_url: str, postgresql: PostgreSQL
) -> None:
    async with opened(database_url) as first:
        postgresql.stop()
        postgresql.start()
        await first.write(lambda connection: None)

        with pytest.raises(ConfigError, match="Another skerry uses this database"):
            async with opened(database_url + IMPATIENT):
                pass


async def test_a_site_that_was_overtaken_while_the_server_was_away_writes_nothing(
    database_url: str, postgresql: PostgreSQL
) -> None:
    async with opened(database_url + IMPATIENT) as first:
        postgresql.stop()
        postgresql.start()
        async with opened(database_url):
            with pytest.raises(StoreFailed, match="Another skerry"):
                await first.write(lambda connection: None)
        await first.write(lambda connection: None)


# Going away


@pytest.mark.parametrize("end", [PostgreSQL.stop, PostgreSQL.crash])
async def test_while_the_server_is_away_all_fails_at_once_and_then_works_again(
    records: Records,
    database: Database,
    postgresql: PostgreSQL,
    new_image: NewImage,
    end: Callable[[PostgreSQL], None],
) -> None:
    before = await records.create(new_image(1))

    end(postgresql)
    for _ in range(3):
        async with asyncio.timeout(5):
            with pytest.raises(StoreFailed, match="does not answer") as caught:
                await records.create(new_image(2))
            assert caught.value.retry
            with pytest.raises(StoreFailed, match="does not answer"):
                await records.ids()
    assert (await records.get(before.id)).image == before, "memory needs no server"
    postgresql.start()

    after = await records.create(new_image(2))
    assert await records.ids() == [before.id, after.id]


async def test_a_server_that_ends_sessions_in_the_middle_fails_that_transaction_alone(
    database: Database, database_url: str, postgresql: PostgreSQL
) -> None:
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(database_url)}'"

    def work(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE halfway (n int)"))
        postgresql.sql(end)
        connection.execute(text("INSERT INTO halfway VALUES (1)"))

    with pytest.raises(StoreFailed, match="does not answer"):
        await database.write(work)

    found = await database.read(lambda connection: connection.scalar(text("SELECT to_regclass('halfway')")))
    assert found is None


@pytest.fixture
def commits_wait(postgresql: PostgreSQL) -> Iterator[Callable[[], Awaitable[None]]]:
    """From now on a commit lands and its answer waits for a standby that never comes; yields how to meet one
    that waits."""
    postgresql.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    postgresql.sql("SELECT pg_reload_conf()")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

    async def met() -> None:
        await asyncio.to_thread(eventually, lambda: postgresql.sql(waits) == "1", "a commit that waits")

    yield met
    if not postgresql.daemon.running:
        postgresql.start()
    postgresql.sql("ALTER SYSTEM RESET synchronous_standby_names")
    postgresql.sql("SELECT pg_reload_conf()")


async def test_a_commit_that_landed_without_an_answer_is_found_out_and_memory_follows(
    records: Records,
    postgresql: PostgreSQL,
    new_image: NewImage,
    commits_wait: Callable[[], Awaitable[None]],
) -> None:
    creating = asyncio.ensure_future(records.create(new_image(1)))
    await commits_wait()
    postgresql.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")

    created = await creating

    assert records.cached(created.id) == created
    assert await records.ids() == [created.id]
    assert records.revision == created.revision


async def test_while_a_commit_is_in_doubt_nothing_else_is_written(
    records: Records,
    database: Database,
    postgresql: PostgreSQL,
    new_image: NewImage,
    commits_wait: Callable[[], Awaitable[None]],
) -> None:
    creating = asyncio.ensure_future(records.create(new_image(1)))
    await commits_wait()
    queued = asyncio.ensure_future(records.create(new_image(2)))
    await asyncio.sleep(0)
    postgresql.crash()

    with pytest.raises(StoreFailed, match="does not answer"):
        await queued
    with pytest.raises(StoreFailed, match="does not answer"):
        await records.create(new_image(3))
    assert not creating.done()
    postgresql.start()

    created = await creating
    assert await records.ids() == [created.id]


async def test_a_commit_that_did_not_land_is_an_error_and_leaves_nothing(
    records: Records, database: Database, postgresql: PostgreSQL, new_image: NewImage, database_url: str
) -> None:
    name = name_of(database_url)
    postgresql.sql(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON images DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION wait()",
        name,
    )
    sleeps = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    creating = asyncio.ensure_future(records.create(new_image(1)))
    await asyncio.to_thread(
        eventually, lambda: postgresql.sql(f"SELECT count(*) {sleeps}") == "1", "a commit that waits"
    )
    postgresql.sql(f"SELECT pg_terminate_backend(pid) {sleeps}")

    with pytest.raises(StoreFailed, match="does not answer"):
        await creating

    postgresql.sql("DROP TRIGGER wait ON images", name)
    created = await records.create(new_image(1))
    assert await records.ids() == [created.id]


async def test_a_server_that_takes_connections_and_says_nothing_counts_as_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        database = Database(f"postgresql://{USER}@127.0.0.1:{port}/any?connect_timeout=2")
        with pytest.raises(StoreFailed, match="does not answer"):
            await database.read(lambda connection: None)
        await database.close()


# Waiting


async def test_what_somebody_else_keeps_locked_is_an_error_that_passes(
    database_url: str,
) -> None:
    other = create_engine(database_url)
    async with opened(database_url + IMPATIENT) as database:
        with other.begin() as connection:
            connection.execute(text("LOCK TABLE counters"))
            with pytest.raises(StoreFailed, match="lock timeout"):
                await database.write(lambda mine: mine.execute(text("UPDATE counters SET value = value")))
        await database.write(lambda mine: mine.execute(text("UPDATE counters SET value = value")))
    other.dispose()


async def test_a_statement_that_takes_too_long_is_ended(database_url: str) -> None:
    async with opened(database_url + IMPATIENT) as database:
        with pytest.raises(StoreFailed, match="statement timeout"):
            await database.read(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))


# A full disk


@pytest.fixture
def small_disk(postgresql: PostgreSQL) -> Iterator[str]:
    """A tablespace with 16 MiB, of which a new database takes half."""
    place = postgresql.folder / "small"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=16m,uid=postgres,gid=postgres,mode=0700", "tmpfs", place)
    postgresql.sql(f"CREATE TABLESPACE small LOCATION '{place}'")
    yield "small"
    postgresql.sql("DROP TABLESPACE small")
    run("umount", place)
    place.rmdir()


async def test_a_full_disk_loses_nothing_and_all_goes_on_when_there_is_room(
    small_disk: str,
    postgresql: PostgreSQL,
    new_database: Callable[..., str],
    clock: ManualClock,
    new_image: NewImage,
) -> None:
    url = new_database(f"--tablespace={small_disk}")
    async with opened(url) as database:
        records = Records(database, clock)
        await records.load()
        made: list[str] = []

        async def fill() -> None:
            while True:
                noise = {f"k{key}": os.urandom(16_000).hex() for key in range(4)}
                made.append((await records.create(new_image(len(made), properties=noise))).id)

        with pytest.raises(NoSpace):
            await fill()
        assert await records.ids() == made != []

        run("mount", "-o", "remount,size=32m", postgresql.folder / "small")
        await records.delete(made[0], lambda image: image)
        await records.create(new_image(len(made)))
        assert len(await records.ids()) == len(made)
