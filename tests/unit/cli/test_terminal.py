"""What commands print."""

import io
import sys

import pytest

from skerry.cli import output, progress
from skerry.cli.main import COMMANDS, main


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_bytes_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress.bar("debian", 4 << 20) as at:
        at(0)
        at(2 << 20)
    shown = terminal.getvalue()
    assert "debian" in shown
    assert "2.0/4.0 MiB" in shown


def test_anything_but_a_terminal_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with progress.bar("debian", 4 << 20) as at:
        at(2 << 20)
    assert pipe.getvalue() == ""
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1 << 30, "1.0 GiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_sizes_are_said_in_binary_units(count: int | None, text: str) -> None:
    assert output.size(count) == text


def test_a_table_is_as_wide_as_its_cells() -> None:
    assert output.table(("IMAGE", "SIZE"), [("debian-12", "1 B"), ("x", "20 GiB")]).splitlines() == [
        "IMAGE      SIZE",
        "debian-12  1 B",
        "x          20 GiB",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    assert f"usage: skerry {command}" in capsys.readouterr().out


def test_an_unknown_command_names_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["pusch"])
    assert exit.value.code == 2
    said = capsys.readouterr().err
    assert all(f"'{command}'" in said for command in COMMANDS)
