"""How fast a line is: measured while it is busy."""

_WINDOW, _PAUSE = 0.5, 0.25
"""Seconds of traffic that make a measurement, and of silence that end one."""


class Meter:
    """`rate` is in bytes a second, None as long as there was too little traffic to tell."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self._began = self._last = float("-inf")
        self._count = 0

    def passed(self, count: int, now: float) -> None:
        """Bytes have come at a time in seconds, of a clock that never goes back."""
        if now - self._last > _PAUSE:
            self._began, self._count = now, 0  # when these set out is not known, so they do not count
        else:
            self._count += count
        self._last = now
        if now - self._began >= _WINDOW:
            self.rate = self._count / (now - self._began)
            self._began, self._count = now, 0
