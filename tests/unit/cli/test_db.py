"""`skerry db`: what it says and does about the tables."""

import fcntl
import sqlite3
from pathlib import Path

import pytest

from skerry.catalog import schema
from skerry.cli.main import main


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a site that has never run."""
    data = tmp_path / "data"
    monkeypatch.setenv("SKERRY_SITE_DATA", str(data))
    return data


def _set_version(data: Path, version: str) -> None:
    with sqlite3.connect(data / "skerry.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()


def test_a_check_of_a_site_that_has_never_run_makes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "check"]) == 1
    assert "do not exist" in capsys.readouterr().out
    assert not data.exists()


def test_an_upgrade_makes_the_tables_and_a_check_finds_them(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "upgrade"]) == 0
    assert f"at version {schema.HEAD} now; before: none" in capsys.readouterr().out

    assert main(["db", "check"]) == 0
    assert main(["db", "upgrade"]) == 0
    assert "already" in capsys.readouterr().out


def test_tables_of_another_version_are_told_by_the_exit_code(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["db", "upgrade"])
    _set_version(data, "9999")

    assert main(["db", "check"]) == 1
    assert "9999" in capsys.readouterr().out
    assert main(["db", "upgrade"]) == 2
    assert "newer" in capsys.readouterr().err


def test_a_site_that_runs_is_not_upgraded(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["db", "upgrade"])
    with (data / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["db", "upgrade"]) == 2
    assert "another skerry" in capsys.readouterr().err


def test_a_database_that_cannot_be_used_is_a_mistake_of_its_own(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.mkdir()
    (data / "skerry.db").write_text("This is a text about databases. " * 1000)

    assert main(["db", "check"]) == 2
    assert "not a database" in capsys.readouterr().err
