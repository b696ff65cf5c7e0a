"""One real PostgreSQL server for the run, and in it a database for each test."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from peers.postgresql import PostgreSQL
from tests.contract.conftest import clock, database, new_image, other_database, records

__all__ = ["clock", "database", "new_image", "other_database", "records"]


@pytest.fixture(scope="session")
def cluster(installed: None) -> Iterator[PostgreSQL]:
    # neither pytest's folders, which others may not enter, nor a path too long for a socket
    with tempfile.TemporaryDirectory(prefix="skerry-postgresql-") as folder:
        Path(folder).chmod(0o755)
        with PostgreSQL(Path(folder) / "cluster") as running:
            yield running


@pytest.fixture
def postgresql(cluster: PostgreSQL) -> Iterator[PostgreSQL]:
    """The server; when a test leaves it stopped it is started again."""
    yield cluster
    if not cluster.daemon.running:
        cluster.start()


@pytest.fixture(scope="session")
def names() -> Iterator[str]:
    return (f"test{number}" for number in count())


@pytest.fixture
def new_database(postgresql: PostgreSQL, names: Iterator[str]) -> Iterator[Callable[..., str]]:
    """Make an empty database, with options of `createdb`; returns its URL."""
    made = []

    def make(*options: str) -> str:
        made.append(next(names))
        return postgresql.create(made[-1], *options)

    yield make
    if not postgresql.daemon.running:
        postgresql.start()
    for name in made:
        postgresql.drop(name)


@pytest.fixture
def database_url(new_database: Callable[..., str]) -> str:
    """An empty database."""
    return new_database()


@pytest.fixture
def other_database_url(new_database: Callable[..., str]) -> str:
    """Another empty database."""
    return new_database()
