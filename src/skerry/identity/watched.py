"""A file of the operator's that takes effect when it is changed."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from skerry.core.errors import ConfigError

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Watched(Generic[T]):
    """What `parse` makes of a file's text, made again when the file has changed.

    Raises ConfigError when the file cannot be used at first. Later, a change that cannot be used is reported
    to the log, and what was read before stays in force.
    """

    def __init__(self, path: Path, parse: Callable[[str], T]) -> None:
        self._path = path
        self._parse = parse
        self._stamp = self._look()
        self._value = self._read()

    def get(self) -> T:
        """The value in force. Costs one stat while the file is unchanged."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._value = self._read()
                _log.info("%s: read again", self._path)
            except ConfigError as error:
                _log.error("%s What was read before stays in force.", error)
        return self._value

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> T:
        try:
            return self._parse(self._path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"{self._path}: cannot be read: {error.strerror}.",
                hint="Name a file that exists and is readable.",
            ) from None
        except UnicodeDecodeError:
            raise ConfigError(f"{self._path}: is not text in UTF-8.") from None
