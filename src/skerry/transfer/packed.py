"""Packs that were made before: sites that hold the same ask for the same."""

import shutil
from contextlib import suppress
from pathlib import Path
from threading import Lock


class Packed:
    """Files of a folder, `limit` bytes at most, the longest unused given up first; none outlasts a restart.

    They can be made again, so what goes wrong with them is no harm. All methods block; threads may call them.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._sizes: dict[str, int] = {}
        self._lock = Lock()
        with suppress(OSError):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    def get(self, key: str) -> bytes | None:
        """A pack, if it is here."""
        with self._lock:
            size = self._sizes.pop(key, None)
            if size is None:
                return None
            self._sizes[key] = size
        with suppress(OSError):
            data = (self._folder / key).read_bytes()
            if len(data) == size:
                return data
        return None

    def put(self, key: str, data: bytes) -> None:
        """Keep a pack if there is room for it."""
        try:
            (self._folder / key).write_bytes(data)
        except OSError:
            self._remove([key])
            return
        with self._lock:
            self._sizes[key] = len(data)
            total, old = sum(self._sizes.values()), []
            for oldest, size in self._sizes.items():
                if total > self._limit:
                    old.append(oldest)
                    total -= size
            for oldest in old:
                del self._sizes[oldest]
        self._remove(old)

    def _remove(self, keys: list[str]) -> None:
        for key in keys:
            with suppress(OSError):
                (self._folder / key).unlink()
