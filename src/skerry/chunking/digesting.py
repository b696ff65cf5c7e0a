"""The digest of a file while it is being made."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

from skerry.chunking import files

_PART = 256 << 10
_ZEROS = bytes(_PART)


class Digesting:
    """The SHA-512 of the file `fd`, made on a thread of its own, in order. Holes are not read."""

    def __init__(self, fd: int) -> None:
        self.end = 0
        """What is behind it was not yet asked for."""
        self._fd = fd
        self._digest = hashlib.sha512()
        self._thread = ThreadPoolExecutor(1, "digest")
        self._last: Future[None] | None = None

    def go_on(self, end: int) -> None:
        """The bytes before `end` are there and do not change any more."""
        if end > self.end:
            self._last = self._thread.submit(self._take, self.end, end, self._last)
            self.end = end

    def result(self) -> bytes:
        """Wait for the digest of what is before `end`. Raises WrongBytes or StoreFailed."""
        if self._last is not None:
            self._last.result()
        return self._digest.digest()

    def stop(self) -> None:
        """Wait for the thread to end; what was not begun is left out."""
        self._thread.shutdown(cancel_futures=True)

    def _take(self, start: int, end: int, before: Future[None] | None) -> None:
        if before is not None:
            before.result()  # what went wrong there is not passed over
        at, part = start, memoryview(bytearray(_PART))
        for first, last in files.data_runs(self._fd, start, end):
            self._zeros(first - at)
            for at in range(first, last, _PART):
                ready = part[: last - at]
                files.fill(self._fd, ready, at)
                self._digest.update(ready)
            at = last
        self._zeros(end - at)

    def _zeros(self, count: int) -> None:
        for _ in range(count // _PART):
            self._digest.update(_ZEROS)
        self._digest.update(memoryview(_ZEROS)[: count % _PART])
