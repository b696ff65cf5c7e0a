"""How a link is slow: arithmetic alone, no clock and no socket."""

import math
from dataclasses import dataclass

from skerry.core.units import Rate

_PACKET = 1500
_LARGEST = 64 << 10
_SLICE = 0.010
_CREDIT = 0.020


@dataclass(frozen=True, slots=True)
class Shape:
    """What a link does to traffic: `rate` of each direction (None: no limit), `delay` in seconds each way."""

    rate: Rate | None = None
    delay: float = 0.0

    @property
    def quantum(self) -> int:
        """Bytes to let through at a time: what the rate carries in 10 ms, a packet at least, 64 KiB at most.

        Small pieces make connections that share a link share it fairly.
        """
        if self.rate is None:
            return _LARGEST
        return max(_PACKET, min(_LARGEST, int(self.rate * _SLICE / 8)))

    def __str__(self) -> str:
        rate = "unlimited" if self.rate is None else f"{self.rate / 1e6:g} Mbit/s"
        return f"{rate}, {self.delay * 1000:g} ms each way"


@dataclass(frozen=True, slots=True)
class Passage:
    """When bytes have left one end of a link, and when they are at the other."""

    left: float
    arrives: float


class Lane:
    """One direction of a link, used by all its connections: bytes leave one after the other, at the rate.

    A sender that wakes a little late catches up by at most 20 ms of traffic, so timers that overshoot do not
    slow the link down. `carried` counts all bytes so far.
    """

    def __init__(self) -> None:
        self.shape = Shape()
        self.carried = 0
        self._free_at = -math.inf

    def send(self, size: int, now: float) -> Passage:
        """Put `size` bytes on the lane at time `now` (seconds of any clock, never running backwards)."""
        self.carried += size
        if self.shape.rate is None:
            self._free_at = now
        else:
            self._free_at = max(self._free_at, now - _CREDIT) + size * 8 / self.shape.rate
        left = max(self._free_at, now)
        return Passage(left, left + self.shape.delay)
