"""`skerry feed restart`: a person's word that what is in the database holds."""

import re
from pathlib import Path

import pytest

from skerry.cli.main import main


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a site that has never run."""
    monkeypatch.setenv("SKERRY_SITE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_site_that_stands_alone_has_no_records_that_others_follow(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["feed", "restart"]) == 2
    assert "stands alone" in capsys.readouterr().err


def test_each_restart_begins_an_epoch_of_its_own(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKERRY_SITE_NAME", "central")
    monkeypatch.setenv("SKERRY_SITES_LISTEN", "127.0.0.1:0")
    assert main(["feed", "restart"]) == main(["feed", "restart"]) == 0
    first, second = map(int, re.findall(r"Epoch (\d+)", capsys.readouterr().out))
    assert second > first
