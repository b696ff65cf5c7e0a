"""The files beside an image (stores.beside)."""

from pathlib import Path

import pytest

from skerry.core.errors import NotFound
from skerry.stores.beside import Beside, Kind
from skerry.stores.filesystem import FilesystemStore

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"


class Killed(BaseException):
    """Stands for the end of the program."""


@pytest.fixture
def beside(tmp_path: Path) -> Beside:
    return Beside(tmp_path)


@pytest.mark.parametrize("kind", Kind)
def test_what_was_put_is_there_after_a_restart(beside: Beside, tmp_path: Path, kind: Kind) -> None:
    beside.put(kind, ONE, b"bytes")
    again = Beside(tmp_path)
    assert again.get(kind, ONE) == b"bytes"
    assert list(again.ids(kind)) == [ONE]


def test_an_index_is_no_sketch_and_no_image(beside: Beside, tmp_path: Path) -> None:
    beside.put(Kind.INDEX, ONE, b"index")
    with pytest.raises(NotFound):
        beside.get(Kind.SKETCH, ONE)
    assert list(FilesystemStore(tmp_path).ids()) == []


def test_both_files_go_with_the_image_and_those_of_others_stay(beside: Beside) -> None:
    for kind in Kind:
        beside.put(kind, ONE, b"one")
        beside.put(kind, TWO, b"two")
    beside.delete(ONE)
    beside.delete(ONE)
    for kind in Kind:
        assert list(beside.ids(kind)) == [TWO]


@pytest.mark.parametrize("name", ["", ".", "..", "../secret", ONE + "/..", ONE + "\n", ONE + ".new"])
def test_only_ids_name_files(beside: Beside, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    with pytest.raises(NotFound):
        beside.get(Kind.INDEX, name)
    with pytest.raises(NotFound):
        beside.put(Kind.INDEX, name, b"bytes")
    with pytest.raises(NotFound):
        beside.delete(name)


def test_a_program_that_ends_before_the_name_leaves_the_old_file(
    beside: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, target: Path) -> Path:
        raise Killed

    beside.put(Kind.INDEX, ONE, b"old")
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Killed):
        beside.put(Kind.INDEX, ONE, b"new")
    again = Beside(tmp_path)
    assert again.get(Kind.INDEX, ONE) == b"old"
    assert again.sweep({ONE}) == 1
    assert again.get(Kind.INDEX, ONE) == b"old"


def test_the_sweep_removes_what_belongs_to_no_image(beside: Beside) -> None:
    for kind in Kind:
        beside.put(kind, ONE, b"one")
        beside.put(kind, TWO, b"two")
    assert beside.sweep({TWO}) == 2
    assert beside.sweep({TWO}) == 0
    for kind in Kind:
        assert list(beside.ids(kind)) == [TWO]
