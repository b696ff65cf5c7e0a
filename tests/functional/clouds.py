"""A centre, an edge, and a line between them that can be cut and counts what goes over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from skerry.lab.link import Link
from tests.functional.sites import Api, Counter, line_to, running, settings
from tests.simulators.clock import ManualClock

TTL = 60
TIMEOUT = 0.4


@dataclass
class Cloud:
    """`upstream` knows what went over the line; `clock` is the edge's."""

    centre: Api
    edge: Api
    line: Link
    upstream: Counter
    clock: ManualClock

    def pass_ttl(self) -> None:
        """Let every record at the edge grow older than its TTL."""
        self.clock.forward(TTL + 1)


@asynccontextmanager
async def small_cloud(folder: Path) -> AsyncIterator[Cloud]:
    """A cloud that keeps its state in `folder`."""
    clock = ManualClock()
    async with running(settings(folder / "centre")) as centre:
        upstream = Counter(centre.url)
        async with upstream.listening() as counted, line_to(counted) as (line, url):
            section = {"url": url, "ttl": TTL, "timeout": TIMEOUT, "max_stale": "1h", "stall": 2}
            async with running(settings(folder / "edge", upstream=section), clock) as edge:
                upstream.take()
                yield Cloud(centre, edge, line, upstream, clock)
