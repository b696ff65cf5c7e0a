"""The line to the site above: is it there, and who finds out.

A cut line swallows packets, so only time tells. The first call that gets no answer within `timeout` seconds
finds the line cut; from then on calls fail at once, and a probe in the background finds out when the line is
back. While that first call is still waiting, calls that have something to fall back on stop waiting after a
quarter of the time: one request waits for a cut line, not all of them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

import aiohttp

from skerry.core.clock import Clock
from skerry.core.errors import UpstreamAway
from skerry.core.retries import Backoff

log = logging.getLogger(__name__)
T = TypeVar("T")

NO_ANSWER = (TimeoutError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)
"""What a request raises when the other end is not there, as against an answer that we do not like."""

_FIRST_PROBE = 0.5
_SLOWEST_PROBE = 15.0
"""Seconds until the next probe, at most: at first, and after many. A thousand sites lose one line at the same
moment, so each draws its own."""


class LineState(StrEnum):
    """What is known of the line."""

    CONNECTED = "connected"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class LineStatus:
    """The state of the line with reason, since, and what happens next."""

    state: LineState
    since: datetime
    reason: str
    next_probe: datetime | None


class Link:
    """A circuit breaker around calls to one upstream.

    `probe` asks the upstream for something cheap and raises one of NO_ANSWER when it is away. `timeout` is in
    seconds.
    """

    def __init__(self, probe: Callable[[], Awaitable[None]], *, timeout: float, clock: Clock) -> None:
        self._probe = probe
        self._timeout = timeout
        self._clock = clock
        self._connected = asyncio.Event()
        self._connected.set()
        self._status = LineStatus(LineState.CONNECTED, clock.now(), "not asked yet", None)
        self._prober: asyncio.Task[None] | None = None
        self._signs = 0
        self._waiting: list[object] = []
        self._suspected = asyncio.Event()

    @property
    def status(self) -> LineStatus:
        """What is known now."""
        return self._status

    @property
    def connected(self) -> bool:
        """Whether calls are worth making."""
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        """Return when the line is there, at once when it is."""
        await self._connected.wait()

    def heard(self) -> None:
        """Say that something came from upstream just now: bytes of an image count as a sign of life."""
        self._signs += 1
        self._suspected.clear()
        if not self.connected:
            self._change(LineState.CONNECTED, "answers again")

    def lost(self, reason: str) -> None:
        """Say that upstream does not answer; the background probe takes it from here."""
        if self.connected:
            self._change(LineState.CUT, reason)
            if self._prober is not None:
                self._prober.cancel()  # of an earlier cut, still asleep
            self._prober = asyncio.create_task(self._probe_until_connected(), name="probe-upstream")

    async def ask(self) -> bool:
        """Find out whether upstream is there; says so at once when the line is known to be cut."""
        with suppress(UpstreamAway):
            await self.call(self._probe, fallback=False)
        return self.connected

    async def call(self, send: Callable[[], Awaitable[T]], *, fallback: bool) -> T:
        """Make one small request. Raises UpstreamAway at once when the line is cut, else after `timeout`.

        An upstream that gives a sign of life meanwhile is no line that is cut: it may itself be waiting for
        one, and is waited for twice as long. With a `fallback` (the caller knows an older answer) only the
        oldest waiting call waits for `timeout`, the others a quarter of it. Cancelling the caller cancels the
        request.
        """
        if not self.connected or (fallback and self._suspected.is_set()):
            raise self.away()
        turn = object()
        self._waiting.append(turn)
        signs = self._signs
        request = asyncio.ensure_future(send())
        doubt: asyncio.Task[None] | None = None
        try:
            patience = self._timeout / 4
            done, _ = await asyncio.wait({request}, timeout=patience)
            if not done and self._signs == signs:
                self._suspected.set()
                if fallback and self._waiting[0] is not turn:
                    raise self.away()
                doubt = asyncio.create_task(self._listen(), name="ask-upstream")
            if not done:
                done, _ = await asyncio.wait({request}, timeout=self._timeout - patience)
            if not done and not fallback and self._signs != signs:
                done, _ = await asyncio.wait({request}, timeout=self._timeout)
            if not done:
                raise TimeoutError(f"no answer within {self._timeout:g} s")
            answer = request.result()
        except NO_ANSWER as error:
            if self._signs == signs:
                self.lost(str(error) or type(error).__name__)
            raise self.away() from error
        finally:
            self._waiting.remove(turn)
            if not self._waiting:
                self._suspected.clear()
            if doubt is not None:
                doubt.cancel()
            if not request.done():
                request.cancel()
                with suppress(asyncio.CancelledError, *NO_ANSWER):
                    await request
        self.heard()
        return answer

    async def _listen(self) -> None:
        """Have a sign of life, if there is any: an upstream that is slow to answer is no line that is cut."""
        with suppress(*NO_ANSWER):
            await self._probe()
            self.heard()

    async def while_alive(
        self, work: Callable[[], Awaitable[T]], *, patience: float, moved: Callable[[], int]
    ) -> T:
        """Wait for what may rightly take long, a write or an upload, while upstream gives signs of life.

        `moved` counts what has been done of it; when it has not grown for `patience` seconds, upstream
        is asked whether it is there. Raises UpstreamAway and cancels `work` when it is not; cancelling the
        caller does, too.
        """
        if not self.connected:
            raise self.away()
        task = asyncio.ensure_future(work())
        try:
            while True:
                before = moved()
                done, _ = await asyncio.wait({task}, timeout=patience)
                if done:
                    return task.result()
                if moved() == before:
                    await self.call(self._probe, fallback=False)
        except NO_ANSWER as error:
            self.lost(str(error) or type(error).__name__)
            raise self.away() from error
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, *NO_ANSWER):
                    await task

    def away(self) -> UpstreamAway:
        """The error that tells a client that upstream is needed and not there."""
        since = self._status.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        what = (
            f"does not answer since {since} ({self._status.reason})"
            if not self.connected
            else "is slow to answer"
        )
        return UpstreamAway(
            f"The upstream site {what}.",
            hint="This site goes on with what it has and tries again by itself.",
            retry_after=2,
        )

    async def close(self) -> None:
        """Stop probing."""
        if self._prober is not None:
            self._prober.cancel()
            with suppress(asyncio.CancelledError):
                await self._prober

    async def _probe_until_connected(self) -> None:
        backoff = Backoff(first=_FIRST_PROBE, longest=_SLOWEST_PROBE)
        while not self.connected:
            wait = backoff.failed()
            self._status = LineStatus(
                LineState.CUT,
                self._status.since,
                self._status.reason,
                datetime.fromtimestamp(self._clock.now().timestamp() + wait, tz=self._status.since.tzinfo),
            )
            await asyncio.sleep(wait)
            with suppress(*NO_ANSWER):
                async with asyncio.timeout(self._timeout):
                    await self._probe()
                self.heard()

    def _change(self, state: LineState, reason: str) -> None:
        self._status = LineStatus(state, self._clock.now(), reason, None)
        if state is LineState.CONNECTED:
            log.info("upstream: the line is back")
            self._connected.set()
        else:
            log.warning("upstream: the line is cut: %s", reason)
            self._connected.clear()
