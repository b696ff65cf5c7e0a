"""The migrations and the tables of a new database say the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text

from skerry.catalog import migrations, schema
from skerry.catalog.database import Database
from skerry.core.errors import ConfigError


def _url(path: Path) -> str:
    return f"sqlite:///{path}"


def _tables(path: Path) -> list[tuple[str, ...]]:
    query = text("SELECT name, sql FROM sqlite_master WHERE tbl_name != 'alembic_version' ORDER BY name")
    rows = _on(create_engine(_url(path)), lambda connection: connection.execute(query).all())
    return [tuple(row) for row in rows]


def _on(engine: Engine, work: Callable[[Connection], Any]) -> Any:
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


async def test_the_migrations_lead_to_the_tables_of_a_new_database(tmp_path: Path) -> None:
    database = Database(_url(tmp_path / "new.db"))
    await database.open()
    await database.close()
    _on(create_engine(_url(tmp_path / "migrated.db")), migrations.upgrade)

    assert _tables(tmp_path / "migrated.db") == _tables(tmp_path / "new.db")


async def test_a_new_database_is_stamped_with_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(migrations.configuration()).get_current_head() == schema.HEAD


async def test_a_database_of_an_earlier_version_is_upgraded_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    _on(create_engine(_url(path)), lambda connection: migrations.upgrade(connection, "base"))
    assert not _tables(path)

    database = Database(_url(path))
    await database.open()
    await database.close()

    assert _tables(path)


async def test_references_are_not_followed_while_tables_are_rebuilt_and_are_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def followed(connection: Connection) -> bool:
        return bool(connection.scalar(text("PRAGMA foreign_keys")))

    during: list[bool] = []
    monkeypatch.setattr(migrations, "upgrade", lambda connection: during.append(followed(connection)))
    database = Database(_url(tmp_path / "new.db"))
    await database.open()
    await database.write(lambda connection: connection.execute(text("DELETE FROM alembic_version")))
    await database.open()
    after = await database.write(followed)
    await database.close()

    assert during == [False]
    assert after is True


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = Database(_url(tmp_path / "new.db"))
    await database.open()
    await database.write(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    before = _tables(tmp_path / "new.db")

    with pytest.raises(ConfigError, match="9999"):
        await database.open()
    await database.close()

    assert _tables(tmp_path / "new.db") == before
