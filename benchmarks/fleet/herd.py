"""A process with many sites that follow: `python -m benchmarks.fleet.herd FOLDER URL FIRST LAST`.

Says `ready` when all have been heard by the centre. To `report` on its standard input it answers with one
line of JSON: what was seen, and what was refused, since the last time. It ends with its input.
"""

import asyncio
import json
import logging
import sys
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, cast

import aiohttp
import uvloop

from benchmarks.fleet.founding import CENTRE, config_of
from benchmarks.fleet.site import Child, Eyes, KnownKey, MemoryJournal, Snapshot, take_snapshot
from benchmarks.fleet.speech import say, told
from skerry.api.federation import Federation
from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.core.clock import SystemClock
from skerry.core.feed.entry import Stream
from skerry.core.feed.journal import Standing
from skerry.identity.credential import FixedCredential
from skerry.identity.membership import open_membership
from skerry.sync.above import Above
from skerry.sync.follower import Follower
from skerry.upstream.client import UpstreamImages

_TIMEOUT = 5.0
_STARTING = 32
"""Sites that begin at the same time."""


class Herd:
    """All sites of this process."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._clock = SystemClock()
        self._eyes: list[Eyes] = []
        self._silent: set[str] = set()
        self._answered = asyncio.Event()
        self._refused: Counter[str] = Counter()
        self._held: Snapshot | None = None

    def report(self) -> dict[str, Any]:
        """What has happened since the last time."""
        seen = [one for eyes in self._eyes for one in eyes.seen]
        for eyes in self._eyes:
            eyes.seen.clear()
        refused = dict(self._refused)
        self._refused.clear()
        return {"seen": seen, "refused": refused}

    async def heard(self) -> None:
        """Return once each has been told how its own stream stands above."""
        while self._silent:
            self._answered.clear()
            await self._answered.wait()

    def _hear(self, name: str) -> None:
        self._silent.discard(name)
        self._answered.set()

    async def add(self, name: str, group: asyncio.TaskGroup, stack: AsyncExitStack) -> None:
        """Have one more site follow."""
        membership = open_membership(config_of(self._folder, name), self._clock.now())
        session = Federation(membership, self._clock).session()
        session.trace_configs.append(self._trace())
        stack.push_async_callback(session.close)
        upstream = UpstreamImages(self._url, session, FixedCredential(), timeout=_TIMEOUT, clock=self._clock)
        stack.push_async_callback(upstream.link.close)
        above, family = (
            Above(upstream),
            Child(name, {CENTRE: tuple(KnownKey(key.raw) for key in membership.centre_keys)}),
        )
        if self._held is None:
            self._held = await _snapshot(above, family)
        eyes = Eyes()
        self._silent.add(name)
        journal = MemoryJournal(name, membership.key, self._clock, self._held)
        follower = Follower(
            cast(Journal, journal), cast(Records, eyes), family, above, upstream.link, self._clock,
            gone=_nothing_gone, wanted=lambda ids: self._hear(name),
        )  # fmt: skip
        self._eyes.append(eyes)
        group.create_task(follower.run())

    def _trace(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()

        async def ended(session: Any, context: Any, end: aiohttp.TraceRequestEndParams) -> None:
            if end.response.status >= 400:
                told = "with" if "Retry-After" in end.response.headers else "without"
                self._refused[f"{end.response.status} {told} Retry-After"] += 1

        async def failed(session: Any, context: Any, end: aiohttp.TraceRequestExceptionParams) -> None:
            if not isinstance(end.exception, asyncio.CancelledError):
                self._refused[type(end.exception).__name__] += 1

        trace.on_request_end.append(ended)
        trace.on_request_exception.append(failed)
        trace.freeze()
        return trace


async def _snapshot(above: Above, family: Child) -> Snapshot:
    """All that the centre has said so far, taken once."""
    held = Snapshot(Standing(Stream(CENTRE)), {})
    while held.standing.head is None:
        places = {held.standing.stream: held.standing.place}
        for given in await above.poll(places, but=(), wait=1):
            held = take_snapshot(held, given, family.keys(CENTRE))
    return held


async def _nothing_gone(image_id: str) -> None:
    pass


async def _run(folder: Path, url: str, names: list[str]) -> None:
    herd = Herd(folder, url)
    reader = await told()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number, name in enumerate(names):
            await herd.add(name, group, stack)
            if number % _STARTING == 0:
                await herd.heard()
        await herd.heard()
        say("ready")
        while await reader.readline():
            say(json.dumps(herd.report()))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


if __name__ == "__main__":
    logging.disable(logging.ERROR)  # a thousand sites say the same
    folder_, url_, first, last = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        uvloop.run(_run(Path(folder_), url_, [f"s{number}" for number in range(int(first), int(last))]))
