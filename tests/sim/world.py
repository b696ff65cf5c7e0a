"""The world of one run: its virtual time, its chance, its sites, and what is true whatever they believe.

Everything that happens is an event on one heap, in the order of virtual time and, at one moment, of arrival.
All chance comes from one seed, and no order comes from a hash, so that a seed always makes the same run.
"""

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from skerry.core.site import SiteRecord
from tests.sim.settings import draw
from tests.sim.truth import Truth

if TYPE_CHECKING:
    from tests.sim.line import Line
    from tests.sim.site import Site

START = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = START.timestamp()


class World:
    """One run of one seed."""

    def __init__(self, seed: int, *, tell: Callable[[str], None] | None = None) -> None:
        """`tell` hears each line of the trace."""
        self.seed = seed
        self.rng = random.Random(seed)
        self.now = 0.0
        self.settings = draw(self.rng)
        self.truth = Truth()
        self.sites: dict[str, Site] = {}
        self.lines: dict[str, Line] = {}
        """The line of each site to the one above it, by the name of the lower one."""
        self.wanted_sites: dict[str, SiteRecord] = {}
        """What the operator wants the centre to say of the sites."""
        self.faults: Counter[str] = Counter()
        """How often each kind of fault has had an effect."""
        self.deeds: Counter[str] = Counter()
        """What was done, to see that the runs are not idle."""
        self.steps = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._tell = tell
        self._traced = hashlib.blake2b(digest_size=16)

    def after(self, delay: float, what: Callable[[], None]) -> None:
        """Have `what` happen so many seconds from now."""
        self._number += 1
        heapq.heappush(self._heap, (self.now + delay, self._number, what))

    def run(self, until: float) -> None:
        """Let happen what happens up to a moment."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, what = heapq.heappop(self._heap)
            self.steps += 1
            what()
        self.now = until

    def wall(self, offset: float = 0.0) -> datetime:
        """The time of day, by a clock that is `offset` seconds fast."""
        return START + timedelta(seconds=self.now + offset)

    def chance(self, probability: float) -> bool:
        """Whether something happens that does so with this probability."""
        return probability > 0 and self.rng.random() < probability

    def fault(self, kind: str, where: str) -> None:
        """A fault had its effect."""
        self.faults[kind] += 1
        self.note(where, f"fault: {kind}")

    def note(self, where: str, what: str) -> None:
        """A line of the trace."""
        line = f"{self.now:10.3f} {where}: {what}"
        self._traced.update(line.encode())
        if self._tell is not None:
            self._tell(line)

    @property
    def trace(self) -> str:
        """A digest of all that has happened."""
        return self._traced.hexdigest()
