import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from skerry.chunking import files
from skerry.core.errors import NoSpace, StoreFailed, WrongBytes
from tests.unit.chunking.disks import KIB, noise


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[int, int]]:
    (tmp_path / "source").write_bytes(noise(3000 * KIB))
    found = os.open(tmp_path / "source", os.O_RDWR), files.open_own(tmp_path / "target")
    yield found
    for fd in found:
        os.close(fd)


def fail(number: int) -> object:
    def failing(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return failing


@pytest.mark.parametrize("number", [None, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS])
def test_bytes_are_copied_whether_the_kernel_can_or_not(
    pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    if number is not None:
        monkeypatch.setattr(os, "copy_file_range", fail(number))
    files.copy(pair[0], 1000, pair[1], 5000, 2500 * KIB)
    assert os.pread(pair[1], 3000 * KIB, 5000) == noise(3000 * KIB)[1000 : 1000 + 2500 * KIB]
    with pytest.raises(WrongBytes, match="before its end"):
        files.copy(pair[0], 2999 * KIB, pair[1], 0, 2 * KIB)


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EIO, StoreFailed)]
)
def test_what_a_disk_refuses_is_said_in_the_products_words(
    pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    for name in ("copy_file_range", "pwrite", "ftruncate", "fdatasync", "open"):
        monkeypatch.setattr(os, name, fail(number))
    with pytest.raises(kind):
        files.copy(pair[0], 0, pair[1], 0, 10)
    with pytest.raises(kind):
        files.write(pair[1], b"x", 0)
    with pytest.raises(kind):
        files.set_size(pair[1], 10)
    with pytest.raises(kind):
        files.make_durable(pair[1])
    with pytest.raises(kind):
        files.open_own(Path("x"))


def test_the_parts_of_a_sparse_file_are_told_from_its_holes(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(1000 * KIB)
        file.write(noise(64 * KIB))
        file.truncate(5000 * KIB)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert list(files.data_runs(fd, 0, 5000 * KIB)) == [(1000 * KIB, 1064 * KIB)]
        assert list(files.data_runs(fd, 1010 * KIB, 1020 * KIB)) == [(1010 * KIB, 1020 * KIB)]
        assert list(files.data_runs(fd, 2000 * KIB, 5000 * KIB)) == []
    finally:
        os.close(fd)


def test_a_file_system_that_knows_no_holes_has_none(
    pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "lseek", fail(errno.EINVAL))
    assert list(files.data_runs(pair[0], 10, 20)) == [(10, 20)]
