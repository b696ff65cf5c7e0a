"""What is missing of one image, from upstream and siblings together; `core.swarm` says what from whom.

Upstream is asked on two lanes, so that its line is never idle, and on a third for what a client waits for.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from skerry.chunking.pack_stream import Arriving
from skerry.chunking.recipe import Flags, Numbers
from skerry.core.errors import SkerryError, TooSlow, UpstreamAway, UpstreamFailed, WrongBytes
from skerry.core.swarm.source import Trouble
from skerry.core.swarm.swarm import Swarm
from skerry.transfer.pace import LEAST, Pace
from skerry.transfer.way import UPSTREAM, Task
from skerry.upstream.link import NO_ANSWER

log = logging.getLogger(__name__)

_LANES, _FIRST = (UPSTREAM, f"{UPSTREAM} 2"), f"{UPSTREAM} first"

_PATIENCE = 5.0
"""Seconds after which a sibling that was asked and sends nothing is left."""

_LOOK = 0.5
"""Seconds after which time alone may have made something possible."""

_IDLE = 30.0
"""Seconds in which nobody was asked for anything after which it is begun anew."""

_BUSY = 3
"""How often in a row upstream may say that it cannot answer now."""

GONE = (404, 405, 409, 413)
"""Who answers so has no chunks of the image."""


class Packs(Protocol):
    """Whoever sends packs: an `UpstreamImages`, of upstream or of a sibling."""

    def packs(
        self, image_id: str, order: bytes, *, stall: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The packs that an order asks for."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Hands:
    """What the assembly does: encode an order of chunks, make what takes its packs, take bytes into it.

    An order is for a line of so many bytes a second, infinity to a sibling. `take` returns the numbers of the
    chunks that have come.
    """

    order: Callable[[Numbers, float], bytes]
    arriving: Callable[[], Arriving]
    take: Callable[[Arriving, bytes], Awaitable[list[int]]]


@dataclass(slots=True, eq=False)
class _Lane:
    """Orders to one source, one behind the other. `rate` is that of its line, in bytes a second."""

    name: str
    source: str
    packs: Packs
    rate: float
    patience: asyncio.Timeout = field(default_factory=lambda: asyncio.Timeout(None))
    held_up: bool = False
    """By a limit of this site, which is no fault of the source's."""

    @property
    def near(self) -> bool:
        return self.source != UPSTREAM


class Gathering:
    """One attempt at all that a swarm lacks; a `siblings.Hears`.

    `brought` counts bytes of the lines by the names of sources.
    """

    def __init__(self, task: Task, swarm: Swarm, hands: Hands, brought: Counter[str], *, rate: float) -> None:
        """`rate` is that of the line to upstream, in bytes a second, as far as it is known."""
        self.swarm = swarm
        self.wanted: int | None = None
        self._task = task
        self._hands = hands
        self._brought = brought
        self.rate = rate
        self._in_part = False
        self._lanes: dict[str, _Lane] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()

    async def run(self, index: str, chunks: int) -> None:
        """Return when all is here; `index` names the index of the image, which has so many `chunks`.

        Raises what is wrong with upstream when nobody else has what is lacking, and what the assembly raises.
        """
        if self.swarm.done:
            return
        image_id = self._task.image.id
        self._start("sources", self._task.siblings.watch(image_id, index, chunks, self))
        self._start("looking", self._look())
        try:
            await self._end
        finally:
            for worker in self._workers.values():
                worker.cancel()
            await asyncio.gather(*self._workers.values(), return_exceptions=True)

    def hurry(self, offset: int, chunks: Numbers) -> None:
        """A client waits for a byte of the file, and so for these chunks."""
        self.wanted = offset
        self.swarm.hurry(chunks)
        self._wake()

    def begin_at(self, start: float) -> None:
        """See `Hears`."""
        self.swarm.begin_at(start)

    def offered(self, name: str, packs: Packs | None, has: Flags | None, coming: Flags | None = None) -> None:
        """See `Hears`."""
        now = _now()
        if name != UPSTREAM:
            assert packs is not None
            self.swarm.offer(name, now, near=True, has=has, coming=coming)
            self._open(_Lane(name, name, packs, math.inf))
        else:
            self._in_part = has is not None
            for lane in (_FIRST, *_LANES):
                self.swarm.offer(lane, now, near=False, has=has, line=UPSTREAM, urgent=lane == _FIRST)
                self._open(_Lane(lane, UPSTREAM, self._task.upstream, self.rate))
        self._wake()

    def withdrawn(self, name: str, why: str) -> None:
        """See `Hears`."""
        if self.swarm.knows(name):
            log.info("image %s: site %s is no source any more: %s", self._task.image.id, name, why)
            self.swarm.withdraw(name)
            self._wake()

    # Work

    def _open(self, lane: _Lane) -> None:
        if lane.name not in self._lanes:
            self._lanes[lane.name] = lane
            self._start(lane.name, self._work(lane))

    def _start(self, name: str, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:
                if not self._end.done():
                    self._end.set_exception(error)

        self._workers[name] = asyncio.create_task(run(), name=name)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _look(self) -> None:
        """Leave who sends nothing, and who has nothing to send any more; see that somebody has the rest."""
        busy = _now()
        while True:
            await asyncio.sleep(_LOOK)
            now = _now()
            if self.swarm.is_at_work:
                busy = now
            elif now - busy > _IDLE:
                raise self._nobody_sends()
            for lane in self._lanes.values():
                if self.swarm.is_over(lane.name) or (
                    lane.near and not lane.held_up and self.swarm.is_silent(lane.name, now, _PATIENCE)
                ):
                    _end(lane)
            self._wake()

    async def _work(self, lane: _Lane) -> None:
        while True:
            chunks = self.swarm.ask(lane.name, _now()) if self.swarm.knows(lane.name) else None
            if chunks is None:
                await self._news.wait()
                continue
            try:
                lane.patience = asyncio.timeout(None)
                async with lane.patience:
                    await self._request(lane, chunks)
            except (*NO_ANSWER, SkerryError) as error:
                await self._trouble(lane, error)
            self._wake()

    async def _request(self, lane: _Lane, chunks: Numbers) -> None:
        """Have some chunks come."""
        task, swarm, arriving = self._task, self.swarm, self._hands.arriving()
        began, came = _now(), 0
        order = self._hands.order(chunks, lane.rate)
        async with lane.packs.packs(task.image.id, order, stall=task.stall) as response:
            pace = Pace(LEAST, task.stall)
            async for data in response.content.iter_any():
                pace.came(len(data))
                came += len(data)
                self._count(lane, len(data))
                numbers = await self._hands.take(arriving, data)
                swarm.moved(lane.name, _now())
                for number in numbers:
                    swarm.came(lane.name, number, _now())
                task.progressed()
                if swarm.done and not self._end.done():
                    self._end.set_result(None)
                if not arriving.ended and swarm.is_over(lane.name):
                    swarm.left(lane.name, _now())
                    return
                lane.held_up = True
                await task.passed(len(data), near=lane.near)
                lane.held_up = False
                swarm.moved(lane.name, _now())
                pace.wait()
        if not arriving.ended:
            raise aiohttp.ClientPayloadError("the packs end before their end")
        swarm.ended(lane.name, _now())
        if not lane.near:
            self.rate = lane.rate = came / max(_now() - began, 1e-6)

    def _count(self, lane: _Lane, count: int) -> None:
        self._brought[lane.source] += count
        if lane.near:
            self._task.siblings.received += count
        else:
            self._task.received(count)

    async def _trouble(self, lane: _Lane, error: Exception) -> None:
        """Leave a source for another. Raises the error when it is not the source's, or there is no other."""
        lane.held_up = False
        if self.swarm.is_over(lane.name):
            self.swarm.left(lane.name, _now())
            return
        trouble, pause = _kind(error), None
        if trouble is None:
            raise error
        if lane.near:
            if isinstance(error, UpstreamAway):
                pause = error.retry_after
            seconds = self.swarm.failed(lane.name, trouble, _now(), pause)
            log.warning(
                "image %s: site %s is left for %.0f s as it is %s: %s",
                self._task.image.id, lane.source, seconds, trouble, _said(error),
            )  # fmt: skip
            return
        pause = error.retry_after if isinstance(error, UpstreamAway) else _LOOK
        self.swarm.failed(lane.name, trouble, _now(), pause)
        if trouble is Trouble.BUSY and self.swarm.failures(lane.name) <= _BUSY:
            return
        if trouble is Trouble.LYING or self._is_alone():
            raise error
        log.warning("image %s: goes on without upstream: %s", self._task.image.id, _said(error))
        link = self._task.upstream.link
        if isinstance(error, NO_ANSWER):
            await link.ask()
        while not link.connected:
            if self._is_alone():
                raise error
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await link.wait_connected()

    def _nobody_sends(self) -> SkerryError:
        lacks = f"Nobody sends the last {self.swarm.lacking} bytes of image {self._task.image.id}."
        if self._in_part:
            return UpstreamAway(lacks, hint="The upstream site waits for them itself.", retry_after=_IDLE)
        return UpstreamFailed(lacks)

    def _is_alone(self) -> bool:
        """Whether no sibling has anything that is lacking."""
        return self.swarm.nobody_near(_now())


def _kind(error: Exception) -> Trouble | None:
    """What is wrong with the source that an error came from; None when it is not a source's."""
    if isinstance(error, TimeoutError | TooSlow):
        return Trouble.SLOW
    if isinstance(error, UpstreamAway):
        return Trouble.BUSY
    if isinstance(error, WrongBytes):
        return None if "index" in error.ids else Trouble.LYING
    if isinstance(error, UpstreamFailed) and error.status in GONE:
        return Trouble.USELESS
    if isinstance(error, UpstreamFailed | aiohttp.ClientError | OSError):
        return Trouble.AWAY
    return None


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _end(lane: _Lane) -> None:
    with suppress(RuntimeError):  # its order has ended at this moment
        lane.patience.reschedule(_now())


def _now() -> float:
    return asyncio.get_running_loop().time()
