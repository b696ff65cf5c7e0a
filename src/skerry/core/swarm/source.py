"""A source of chunks as it is known during one transfer: what it has, and how fast it is."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from skerry.core.swarm.blocks import Flags, Numbers


class Trouble(StrEnum):
    """Why a source was left."""

    AWAY = "away"
    """It does not answer, or broke off."""
    SLOW = "slow"
    """It was asked, and sent nothing for too long."""
    BUSY = "busy"
    """It said that it has too much to do."""
    LYING = "lying"
    """It sent bytes that are not those of the chunk."""
    USELESS = "useless"
    """It did not send what it was asked for and should have."""


_PAUSES = {
    Trouble.AWAY: 5.0,
    Trouble.SLOW: 15.0,
    Trouble.BUSY: 2.0,
    Trouble.LYING: 600.0,
    Trouble.USELESS: 15.0,
}
"""Seconds for which it is not asked again; twice as many each further time in a row."""

_LONGEST = 600.0

_MOST_PROMISES = 3
"""How often a source may say anew that it is about to have a block."""

_SOON, _LATE = 0.5, 3.0
"""Seconds of an order after which what has come says something, and after which nothing does, too."""


@dataclass(eq=False)
class Source:
    """`near` are siblings, which go before the upstream. `has` is by blocks, and so is `coming`: when it was
    first heard that it is about to have them, minus infinity for never.

    `rate` is bytes of chunks a second in the order before, 0 when nothing is known; `got` those of this one,
    `total` those of all. Several sources may be at the end of one `line`. What is only for `urgent` orders is
    asked for what a client waits for, and nothing else. `order` are the chunks that it was asked for; others
    may have taken over blocks of it, unless it is `precise`: such an order has none.
    """

    number: int
    near: bool
    line: str
    urgent: bool
    has: Flags
    order: Numbers
    precise: bool = False
    asked: bool = False
    began: float = 0.0
    heard: float = 0.0
    got: int = 0
    rate: float = 0.0
    away_until: float = 0.0
    failures: int = 0
    gone: bool = False
    trouble: Trouble | None = None
    total: int = 0

    def __post_init__(self) -> None:
        self.coming: NDArray[np.float64] = np.full(len(self.has), -np.inf)
        self._promises = np.zeros(len(self.has), np.int64)

    def promise(self, coming: Flags, now: float) -> None:
        """It says which blocks it is about to have. It is not believed for ever, whatever it says."""
        new = coming & np.isinf(self.coming) & (self._promises < _MOST_PROMISES)
        self.coming[~coming] = -np.inf
        self.coming[new] = now
        self._promises[new] += 1

    def usable(self, now: float) -> bool:
        """Whether it may be asked."""
        return not self.gone and now >= self.away_until

    def speed(self, now: float, otherwise: float) -> float:
        """Bytes a second that can be expected; `otherwise` when nothing is known."""
        seconds = now - self.began
        if self.asked and seconds >= (_SOON if self.got else _LATE):
            return max(self.got, 1) / seconds
        return self.rate or otherwise

    def begin(self, order: Numbers, now: float, *, precise: bool = False) -> None:
        """It was asked for something."""
        self.order, self.precise = order, precise
        self.asked, self.began, self.heard, self.got = True, now, now, 0

    def end(self, now: float) -> None:
        """That has come to its end, whichever."""
        if self.got:
            self.rate = self.got / max(now - self.began, 0.001)
        self.asked, self.order = False, self.order[:0]

    def leave(self, trouble: Trouble, now: float, pause: float | None) -> float:
        """Leave it for a while; for how many seconds."""
        seconds = _PAUSES[trouble] if pause is None else max(pause, 0.1)
        seconds = min(seconds * 2.0 ** min(self.failures, 10), _LONGEST)
        self.failures += 1
        self.trouble, self.away_until = trouble, now + seconds
        return seconds
