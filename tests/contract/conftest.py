"""The database that the contract of a catalogue is run against: SQLite here, PostgreSQL in `tests/peers`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest

from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.core.image import Image
from tests.simulators.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path / 'skerry.db'}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def other_database_url(tmp_path: Path) -> str:
    """Another empty database."""
    return f"sqlite:///{tmp_path / 'other.db'}"


@pytest.fixture
async def other_database(other_database_url: str) -> AsyncIterator[Database]:
    """That of another site."""
    database = Database(other_database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def records(database: Database, clock: ManualClock) -> Records:
    """A primary catalogue without images."""
    records = Records(database, clock)
    await records.load()
    return records


@pytest.fixture
def new_image(clock: ManualClock) -> Callable[..., Image]:
    """Make image number `n`, created now, with whatever else is given."""

    def make(n: int = 1, **given: object) -> Image:
        times = {"created_at": clock.now(), "updated_at": clock.now()}
        return Image(**{"id": str(UUID(int=n)), **times, **given})  # type: ignore[arg-type]

    return make
