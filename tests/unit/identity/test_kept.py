"""The file of callers whose tokens were checked."""

import stat
from pathlib import Path

import pytest

from skerry.core.caller import Caller
from skerry.identity.kept import Kept, Snapshot

ANN = Caller(
    user_id="ann",
    user_domain_id="default",
    project_id="lab",
    project_domain_id="default",
    roles=frozenset({"member", "reader"}),
    is_admin=True,
    expires_at=1_795_435_200.5,
)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    saved = Snapshot(1_795_430_000.25, {b"\x00\xff" * 12: ANN})
    assert Kept(tmp_path).save(saved)
    loaded = Kept(tmp_path).load()
    assert loaded == saved
    assert loaded.callers[b"\x00\xff" * 12].expires_at == ANN.expires_at


def test_a_new_site_knows_nobody(tmp_path: Path) -> None:
    assert Kept(tmp_path).load() == Snapshot()


def test_the_key_stays_and_both_files_are_for_this_user_alone(tmp_path: Path) -> None:
    first = Kept(tmp_path)
    first.save(Snapshot(1.0, {b"digest": ANN}))
    assert Kept(tmp_path).key == first.key
    assert len(first.key) == 32
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"tokens.json": 0o600, "tokens.key": 0o600}


def test_sites_have_keys_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "lyon").mkdir()
    (tmp_path / "brest").mkdir()
    assert Kept(tmp_path / "lyon").key != Kept(tmp_path / "brest").key


@pytest.mark.parametrize("content", [b"", b"{", b'{"as_of": "now"}', b'{"callers": {"!": {}}}', b"\xff\xfe"])
def test_a_file_that_cannot_be_used_is_passed_over_and_said(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tokens.json").write_bytes(content)
    assert Kept(tmp_path).load() == Snapshot()
    assert "tokens.json cannot be used" in caplog.text


def test_a_broken_key_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "tokens.key").write_bytes(b"short")
    assert len(Kept(tmp_path).key) == 32
    assert (tmp_path / "tokens.key").read_bytes() == Kept(tmp_path).key


def test_what_a_crash_left_half_written_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "tokens.json.new").write_bytes(b'{"as_of"')
    assert Kept(tmp_path).save(Snapshot(1.0, {b"digest": ANN}))
    assert Kept(tmp_path).load().callers == {b"digest": ANN}


def test_a_disk_that_fails_is_said_once_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(tmp_path)
    (tmp_path / "tokens.json").mkdir()
    assert not kept.save(Snapshot())
    assert not kept.save(Snapshot())
    assert caplog.text.count("forgotten with a restart") == 1
    (tmp_path / "tokens.json").rmdir()
    assert kept.save(Snapshot())


def test_a_site_whose_folder_cannot_be_written_starts_with_a_key_for_now(tmp_path: Path) -> None:
    assert len(Kept(tmp_path / "missing").key) == 32
