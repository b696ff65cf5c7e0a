"""A thousand sites that lose one centre do not come back as one."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.core.clock import SystemClock
from skerry.core.errors import Busy
from skerry.core.feed import lines
from skerry.core.feed.entry import Channel, Stream
from skerry.identity.credential import FixedCredential
from skerry.sync import above as above_module
from skerry.sync import follower as follower_module
from skerry.sync.above import Above
from skerry.sync.follower import Follower
from skerry.upstream import link as link_module
from skerry.upstream.client import UpstreamImages
from skerry.upstream.link import Link

ENOUGH = 300
"""Pauses after which everything about them has been seen."""


class EnoughError(Exception):
    """All pauses that a test wants have been made."""


class Pauses:
    """In place of `asyncio.sleep`: nobody waits, and each pause is noted."""

    def __init__(self, most: int) -> None:
        self.made: list[float] = []
        self._most = most

    async def sleep(self, seconds: float) -> None:
        self.made.append(seconds)
        if len(self.made) >= self._most:
            raise EnoughError
        await asyncio.sleep(0)


class Asyncio:
    """The module, with another `sleep`."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.sleep = sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


async def test_a_site_that_looks_for_its_upstream_draws_each_pause_from_all_up_to_the_cap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random.seed(4)
    pauses = Pauses(ENOUGH)
    monkeypatch.setattr(link_module, "asyncio", Asyncio(pauses.sleep))

    async def away() -> None:
        raise ConnectionRefusedError

    link = Link(away, timeout=1, clock=SystemClock())
    link.lost("nobody answers")
    assert link._prober is not None
    with pytest.raises(EnoughError):
        await link._prober
    capped = pauses.made[10:]
    assert max(pauses.made) <= 15
    assert sum(pause < 5 for pause in capped) > len(capped) / 4
    assert sum(pause > 10 for pause in capped) > len(capped) / 4


def busy(retry_after: str | None) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return web.Response(status=503, headers=headers)

    return answer


@pytest.mark.parametrize(("said", "waited"), [("7", 7), (None, 5), ("soon", 5), ("999999", 3600)])
async def test_a_site_above_that_is_busy_says_when_to_come_back(said: str | None, waited: float) -> None:
    app = web.Application()
    app.router.add_get(lines.FEED, busy(said))
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("")).rstrip("/")
        upstream = UpstreamImages(url, session, FixedCredential(), timeout=5, clock=SystemClock())
        with pytest.raises(Busy) as refusal:
            await Above(upstream).poll({}, but=(), wait=1)
    assert refusal.value.retry_after == waited


class BusyAbove:
    """A site above that says to come back in 7 s."""

    async def poll(self, *_: Any, **__: Any) -> None:
        raise Busy("Too many sites ask.", retry_after=7)

    push = poll


class NothingHeld:
    """The journal of a site that has just joined."""

    def streams(self, channel: Channel | None = None) -> tuple[Stream, ...]:
        return ()

    def news(self, channel: Channel) -> asyncio.Event:
        return asyncio.Event()


class Alone:
    """What it knows of the tree."""

    name = "lyon"

    def subtree(self, site: str) -> frozenset[str]:
        return frozenset({site})


async def test_a_follower_that_is_told_when_to_come_back_comes_no_sooner_and_with_jitter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random.seed(4)
    pauses = Pauses(ENOUGH)
    monkeypatch.setattr(follower_module, "asyncio", Asyncio(pauses.sleep))

    async def nothing(*_: Any) -> None:
        return

    async def reached() -> None:
        return

    follower = Follower(
        cast(Journal, NothingHeld()), cast(Records, None), cast(Any, Alone()), cast(Above, BusyAbove()),
        Link(reached, timeout=1, clock=SystemClock()), SystemClock(),
        gone=nothing, wanted=lambda ids: None,
    )  # fmt: skip
    with pytest.raises(ExceptionGroup) as ended:
        await follower.run()
    assert ended.group_contains(EnoughError)
    assert min(pauses.made) >= 7
    capped = pauses.made[40:]
    assert max(capped) <= 7 + 60
    assert sum(pause < 7 + 20 for pause in capped) > len(capped) / 4
    assert sum(pause > 7 + 40 for pause in capped) > len(capped) / 4


def test_a_poll_at_rest_ends_before_anybody_doubts_that_the_site_above_is_there() -> None:
    assert follower_module.POLL < above_module.PATIENCE
