"""Sites that fetch one image at the same time, in steps of a tenth of a second, without any network."""

from dataclasses import dataclass, field

import numpy as np

from skerry.core.swarm.source import Trouble
from skerry.core.swarm.swarm import Swarm

STEP = 0.1
CHUNK = 64 << 10
ABOVE = "above"


@dataclass(eq=False)
class Giver:
    """A place that sends chunks, `rate` bytes a second over all that it sends to."""

    rate: float
    sent: int = 0
    lies: bool = False
    silent: bool = False
    cut: bool = False


@dataclass(eq=False)
class Site:
    """A site that fetches; what it has it gives to others."""

    swarm: Swarm
    here: np.ndarray
    giver: Giver
    orders: dict[str, list[int]] = field(default_factory=dict)
    done_at: float | None = None
    left: list[tuple[str, Trouble]] = field(default_factory=list)


@dataclass(eq=False)
class Pool:
    """An upstream and the sites below it. Siblings hear of each other `every` second."""

    upstream: Giver
    sites: dict[str, Site]
    every: float = 1.0
    patience: float = 5.0
    now: float = 0.0

    def run(self, seconds: float) -> None:
        """Go on until all are done, for so many seconds at most."""
        end = self.now + seconds
        while self.now < end and any(site.done_at is None for site in self.sites.values()):
            self.step()

    def step(self) -> None:
        """A tenth of a second."""
        if round(self.now / STEP) % round(self.every / STEP) == 0:
            self._hear()
        for site in self.sites.values():
            self._ask(site)
        for name, giver in [(ABOVE, self.upstream), *((n, s.giver) for n, s in self.sites.items())]:
            self._send(name, giver)
        self.now += STEP

    def _hear(self) -> None:
        for name, site in self.sites.items():
            for other, theirs in self.sites.items():
                if other == name or theirs.giver.rate == 0:
                    continue
                if theirs.giver.cut:
                    site.swarm.withdraw(other)
                    site.orders.pop(other, None)
                    continue
                coming = np.zeros(len(theirs.here), np.bool_)
                coming[theirs.swarm.asked_chunks()] = True
                site.swarm.offer(other, self.now, near=True, has=theirs.here, coming=coming)

    def _ask(self, site: Site) -> None:
        names = [ABOVE, *(name for name in self.sites if self.sites[name] is not site)]
        for name in names:
            if site.swarm.knows(name) and name not in site.orders:
                wanted = site.swarm.ask(name, self.now)
                if wanted is not None:
                    assert len(wanted)
                    assert (np.diff(wanted) > 0).all()
                    site.orders[name] = wanted.tolist()

    def _send(self, name: str, giver: Giver) -> None:
        takers = [site for site in self.sites.values() if name in site.orders]
        for site in takers:
            budget = giver.rate * STEP / len(takers) / CHUNK + getattr(site, "_credit", {}).get(name, 0.0)
            order = site.orders[name]
            while order and budget >= 1 and not giver.silent and not giver.cut:
                budget -= 1
                self._arrive(site, name, giver, order)
            site.__dict__.setdefault("_credit", {})[name] = min(budget, 1.0)
            if name not in site.orders:
                continue
            if not order:
                site.swarm.ended(name, self.now)
                del site.orders[name]
            elif giver.cut:
                site.left.append((name, Trouble.AWAY))
                site.swarm.failed(name, Trouble.AWAY, self.now)
                del site.orders[name]
            elif site.swarm.is_over(name):
                site.swarm.left(name, self.now)
                del site.orders[name]
            elif site.swarm.is_silent(name, self.now, self.patience):
                site.left.append((name, Trouble.SLOW))
                site.swarm.failed(name, Trouble.SLOW, self.now)
                del site.orders[name]

    def _arrive(self, site: Site, name: str, giver: Giver, order: list[int]) -> None:
        giver.sent += CHUNK
        chunk = order.pop(0)
        if giver.lies:
            site.left.append((name, Trouble.LYING))
            site.swarm.failed(name, Trouble.LYING, self.now)
            del site.orders[name]
            order.clear()
            return
        there = self.sites[name].here[chunk] if name in self.sites else True
        if there:
            site.here[chunk] = True
            site.swarm.came(name, chunk, self.now)
        if site.swarm.done and site.done_at is None:
            site.done_at = self.now


def pool(edges: int, chunks: int, *, up: float, own: float, starts: list[float] | None = None) -> Pool:
    """An upstream that sends `up` bytes a second, and edges that can each send `own` (0: no source)."""
    upstream = Giver(up)
    sites = {}
    for number in range(edges):
        start = (number * 0.618034) % 1 if starts is None else starts[number]
        swarm = Swarm(sizes(chunks), np.arange(chunks))
        swarm.begin_at(start)
        swarm.offer(ABOVE, 0.0, near=False)
        sites[f"edge-{number}"] = Site(swarm, np.zeros(chunks, np.bool_), Giver(own))
    return Pool(upstream, sites)


def sizes(chunks: int) -> np.ndarray:
    """So many chunks of one size."""
    return np.full(chunks, CHUNK, np.int64)
