"""Whole images in other folders than the store's own: on a faster disk, say.

The file of such an image lies in the other folder, and `ROOT/<id>` is a symbolic link to it. So whoever reads
or counts images need not know of it, and only what moves and removes files does.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from skerry.core.errors import NoSpace, StoreFailed
from skerry.core.write_points import reached
from skerry.stores.disk import disk_errors, sync

_UNFINISHED = ".new"
_AT_ONCE = 64 << 20


class Elsewhere:
    """The other folders of a store at `root`, by name. All methods block; they raise NoSpace, StoreFailed."""

    def __init__(self, root: Path, folders: Mapping[str, Path]) -> None:
        self._root = root
        self._folders = {name: folder.absolute() for name, folder in folders.items()}
        with disk_errors():
            for folder in self._folders.values():
                folder.mkdir(parents=True, exist_ok=True)

    @property
    def names(self) -> frozenset[str]:
        """What they are called."""
        return frozenset(self._folders)

    def all(self) -> dict[str, str]:
        """The images that lie in them: id -> name of the folder."""
        names = {folder: name for name, folder in self._folders.items()}
        with disk_errors(), os.scandir(self._root) as entries:
            links = [Path(entry.path) for entry in entries if entry.is_symlink()] if names else []
        targets = {link.name: target for link in links if (target := self.target(link)) is not None}
        return {image_id: names[target.parent] for image_id, target in targets.items()}

    def move(self, path: Path, name: str) -> None:
        """Have the file at `path`, of the root, in another folder; it is whole at each moment."""
        if name not in self._folders:
            raise StoreFailed(f"There is no store {name} here.", hint="Name it in [store] others.")
        before = self.target(path)
        after = self._folders[name] / path.name
        if before == after:
            return
        with disk_errors():
            _copy(path, after)
            reached("store.copied")
            link = path.with_name(path.name + _UNFINISHED)
            link.unlink(missing_ok=True)
            link.symlink_to(after)
            link.replace(path)
            sync(self._root)
            if before is not None:
                before.unlink(missing_ok=True)

    def target(self, path: Path) -> Path | None:
        """Where the file at `path` lies, if that is in one of the folders."""
        try:
            target = path.readlink()
        except OSError:
            return None
        return target if target.parent in self._folders.values() else None

    def tidy(self) -> int:
        """Remove what a crash has left: files to which nothing leads. Says how many there were."""
        removed = 0
        with disk_errors():
            for folder in self._folders.values():
                for file in list(folder.iterdir()):
                    if self.target(self._root / file.name) != file:
                        file.unlink()
                        removed += 1
        return removed


def _copy(source: Path, target: Path) -> None:
    """Make `target` a durable copy of a file; holes stay holes."""
    unfinished = target.with_name(target.name + _UNFINISHED)
    try:
        with source.open("rb") as read, unfinished.open("wb") as written:
            size = os.fstat(read.fileno()).st_size
            state = os.statvfs(target.parent)
            if size > state.f_bavail * state.f_frsize:
                raise NoSpace(f"There is no space for {size} bytes in {target.parent}.")
            written.truncate(size)
            for start, end in _data(read.fileno(), size):
                os.lseek(written.fileno(), start, os.SEEK_SET)
                while start < end:
                    start += os.sendfile(written.fileno(), read.fileno(), start, min(_AT_ONCE, end - start))
            os.fsync(written.fileno())
        unfinished.replace(target)
        sync(target.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _data(fd: int, size: int) -> list[tuple[int, int]]:
    """The parts of a file that are no holes."""
    parts, end = [], 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:
            break  # nothing but a hole is left
        end = os.lseek(fd, start, os.SEEK_HOLE)
        parts.append((start, end))
    return parts
