"""The claim to a data folder: whoever has it is alone in writing there, and it ends with its process."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from skerry.core.errors import ConfigError


class Claim:
    """A lock (flock) on `DATA/.lock`, taken or not. Making the object makes the folder; or ConfigError."""

    def __init__(self, data: Path) -> None:
        self._data = data
        try:
            data.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(data / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"[site] data: {data} cannot be used: {error.strerror}.",
                hint="Name a folder that this user may write.",
            ) from None

    def taken(self) -> bool:
        """Take it, unless another process has it; whether this one has it now."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take(self) -> None:
        """Take it. Raises ConfigError when another process has it."""
        if not self.taken():
            raise self.refusal()

    def release(self) -> None:
        """Let another process have it."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def refusal(self) -> ConfigError:
        """Why a program that must be alone does not start."""
        return ConfigError(
            f"[site] data: another skerry serves from {self._data}.", hint="Stop it, or name another folder."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)
