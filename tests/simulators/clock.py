"""A clock that a test moves by hand."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def forward(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set_by(self, seconds: float) -> None:
        """Set the wall clock to another time, as a person or a flat battery does."""
        self._now += timedelta(seconds=seconds)
