"""A window of the day, such as the night in which a line is cheap."""

import re
from dataclasses import dataclass

_FORM = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)(?:\s*([+-])(\d\d):(\d\d))?")
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to before `end`, in seconds of the UTC day; past midnight when `end` is the smaller one.

    `offset` is that of the clock it was written by, in seconds east of UTC, and only matters for showing it.
    """

    start: int
    end: int
    offset: int = 0

    @classmethod
    def parse(cls, text: str) -> "Window":
        """From `22:00-06:00` (UTC) or `22:00-06:00 +02:00`. Raises ValueError."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'expected a window such as "22:00-06:00" or "22:00-06:00 +02:00", got {text!r}')
        numbers = [int(digits) for digits in match.group(1, 2, 3, 4)]
        offset = _seconds(int(match[6] or 0), int(match[7] or 0)) * (-1 if match[5] == "-" else 1)
        start, end = _seconds(*numbers[:2]), _seconds(*numbers[2:])
        if start >= _DAY or end > _DAY or abs(offset) > 14 * 3600 or max(numbers[1], numbers[3]) > 59:
            raise ValueError(f"there is no such time of day in {text!r}")
        if start == end % _DAY:
            raise ValueError(f"{text!r} has no length; leave the window out for the whole day")
        return cls((start - offset) % _DAY, (end - offset) % _DAY, offset)

    def __str__(self) -> str:
        times = "-".join(_clock((moment + self.offset) % _DAY) for moment in (self.start, self.end))
        if not self.offset:
            return times
        return f"{times} {'+' if self.offset > 0 else '-'}{_clock(abs(self.offset))}"

    def is_open(self, now: float) -> bool:
        """Whether `now` lies in it."""
        moment = now % _DAY
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    def opens(self, now: float) -> float:
        """When it opens next: after `now`."""
        return now + _wait(now, self.start)

    def closes(self, now: float) -> float:
        """When it closes next: after `now`."""
        return now + _wait(now, self.end)


def _wait(now: float, moment: int) -> float:
    return (moment - now) % _DAY or _DAY


def _seconds(hours: int, minutes: int) -> int:
    return hours * 3600 + minutes * 60


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"
