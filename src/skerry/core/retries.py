"""When something that failed is worth another try: later each time."""

import random
from collections.abc import Callable


class Retries:
    """What failed, by key. The pause after a failure is `first` seconds, and doubles up to `longest`.

    `now` is in seconds, by a clock that never runs backwards.
    """

    def __init__(self, *, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._pauses: dict[str, tuple[float, float]] = {}

    def failed(self, key: str, now: float) -> None:
        """It has failed, again or for the first time."""
        _, last = self._pauses.get(key, (0.0, 0.0))
        pause = min(last * 2 or self._first, self._longest)
        self._pauses[key] = (now + pause, pause)

    def forget(self, key: str) -> None:
        """It has gone well, or somebody wants it now."""
        self._pauses.pop(key, None)

    def due(self, key: str, now: float) -> bool:
        """Whether it may be tried."""
        return self._pauses.get(key, (now, 0.0))[0] <= now

    def pause(self, key: str, now: float) -> float | None:
        """Seconds until it may be tried; 0 when that is over, None when it has not failed."""
        known = self._pauses.get(key)
        return None if known is None else max(0.0, known[0] - now)

    def wait(self, now: float) -> float | None:
        """Seconds until the next of them is due; None when nothing is waited for."""
        return min((at - now for at, _ in self._pauses.values() if at > now), default=None)


class Backoff:
    """Pauses between tries of one thing that keeps failing, for one of many that may fail together.

    Each is drawn from 0 up to a bound that is `first` seconds at the beginning and doubles up to `longest`
    ("full jitter"), so that those who lost the same thing at one moment do not come back at one moment.
    """

    def __init__(
        self, *, first: float, longest: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._first = first
        self._longest = longest
        self._uniform = uniform
        self._failures = 0

    def failed(self, at_least: float = 0.0) -> float:
        """The next pause; `at_least` is what the other side has asked for."""
        bound = min(self._first * 2.0 ** min(self._failures, 60), self._longest)
        self._failures += 1
        return at_least + self._uniform(0.0, bound)

    def succeeded(self) -> None:
        """Begin at the first pause again."""
        self._failures = 0
