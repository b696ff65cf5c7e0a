"""Several processes of one site on one machine: one leads it, the others are its aides.

The leader is a whole site and does all that is to be done once: it alone writes the database and the store,
recovers what a crash has left, fetches, receives and keeps house. The claim to the data folder makes it the
leader; the kernel ends that with the process, however it ends. An aide takes it over within a moment, and
what it then does is what a restart after a crash does.

What they share is in `DATA/processes`, which nobody else may enter: the leader's socket, and the number of
the last change.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from skerry.api import aide
from skerry.api.context import Site
from skerry.api.door import Door
from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.mark import Mark
from skerry.catalog.onlooker import Onlooker
from skerry.catalog.records import Records
from skerry.claim import Claim
from skerry.config import Config
from skerry.core.clock import Clock, SystemClock
from skerry.core.errors import ConfigError, SkerryError
from skerry.identity.connect import connect
from skerry.identity.policy import Policy
from skerry.service import listening, open_site, runner_of, told_to_stop
from skerry.stores.filesystem import FilesystemStore
from skerry.transfer.chunks import Chunks

log = logging.getLogger(__name__)

_LOOK = 0.05
"""Seconds between looks whether the site has lost its leader."""

_START = 60.0
"""Seconds that a leader may take until it answers."""

_RETRY = 1.0
"""Seconds until a process that could not lead, because its database was away say, tries again."""

_WAITING = 1024
"""Connections that may wait to be taken."""


class _Place:
    """What the processes of a site share. Raises ConfigError."""

    def __init__(self, data: Path, stack: AsyncExitStack) -> None:
        folder = data / "processes"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._folder = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            stack.callback(os.close, self._folder)
            self.mark = Mark(folder / "revision")
        except OSError as error:
            raise ConfigError(
                f"[site] data: {folder} cannot be used: {error.strerror}.",
                hint="Name a folder that this user may write.",
            ) from None
        stack.callback(self.mark.close)

    @property
    def leader(self) -> Path:
        """Where the leader is reached; short enough for a socket, however long the folder's name is."""
        return Path(f"/proc/self/fd/{self._folder}/leader")

    def lead(self) -> socket.socket:
        """The leader's end of it, in place of that of one that has died."""
        self.leader.unlink(missing_ok=True)
        end = socket.socket(socket.AF_UNIX)
        end.bind(str(self.leader))
        end.listen(_WAITING)
        return end


async def serve(config: Config) -> None:
    """Lead a site, or help who leads it and be the next one; until SIGTERM or SIGINT. Raises ConfigError."""
    stop, clock = told_to_stop(), SystemClock()
    async with AsyncExitStack() as stack:
        claim = stack.enter_context(Claim(config.data))
        place = _Place(config.data, stack)
        helping = None if claim.taken() else await _help(config, clock, place, claim, stack)
        entrances = bind(config.listen, stack) if helping is None else helping.entrances
        while await _has(claim, stop):
            try:
                async with _leading(config, clock, place, entrances) as url:
                    log.info("this process leads site %s and answers on %s", config.site.name, url)
                    if helping is not None:
                        helping.retire()
                    await stop.wait()
            except SkerryError as error:
                if helping is None:
                    raise
                log.error("this process cannot lead: %s", error)
                claim.release()
                await _within(_RETRY, stop)


async def _has(claim: Claim, stop: asyncio.Event) -> bool:
    """Wait for the claim; False when there is no more use of it."""
    while not stop.is_set():
        if claim.taken():
            return True
        await _within(_LOOK, stop)
    return False


async def _within(seconds: float, stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@asynccontextmanager
async def _leading(
    config: Config, clock: Clock, place: _Place, entrances: Sequence[socket.socket]
) -> AsyncIterator[str]:
    """A whole site, which answers clients at `entrances` and aides at the place they know; the URL."""
    async with open_site(config, clock, claimed=True) as site:
        site.records.tell(place.mark.write)
        with place.lead() as own:
            async with listening(site, at=[*(end.dup() for end in entrances), own.dup()]) as url:
                yield url


class _Helping:
    """What an aide does, and how it ends."""

    def __init__(
        self, entrances: Sequence[socket.socket], servers: Sequence[asyncio.Server], end: aide.Retirement
    ) -> None:
        self.entrances = entrances
        self._servers = servers
        self._end = end

    def retire(self) -> None:
        """Take no more connections; those that there are end with their next answer."""
        self._end.begun = True
        for server in self._servers:
            server.close()


async def _help(
    config: Config, clock: Clock, place: _Place, claim: Claim, stack: AsyncExitStack
) -> _Helping | None:
    """Begin to help the leader. None when there is none any more and this process has the claim."""
    leader = aide.Leader(place.leader)
    stack.push_async_callback(leader.close)
    until = time.monotonic() + _START
    while not await leader.is_there():
        if claim.taken():
            return None
        if time.monotonic() > until:
            raise claim.refusal()
        await asyncio.sleep(_LOOK)
    site = await _part(config, clock, place, stack)
    end = aide.Retirement()
    door = Door(config.api.slow_after)
    app = aide.application(config, leader, site, end, door.heard)
    runner = runner_of(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server is not None
    entrances = bind(config.listen, stack)
    servers = [await door.open_at(runner.server, entrance.dup()) for entrance in entrances]
    for server in servers:
        stack.callback(server.close)
    host, port = entrances[0].getsockname()[:2]
    log.info("this process helps site %s and answers on http://%s:%d", config.site.name, host, port)
    return _Helping(entrances, servers, end)


async def _part(config: Config, clock: Clock, place: _Place, stack: AsyncExitStack) -> Site | None:
    """What an aide needs to read records by itself. At a site that lives from others the leader does that."""
    if config.upstream.url or config.membership.exists():
        return None
    database = Database(config.database_url, read_only=True)
    stack.push_async_callback(database.close)
    await database.open()
    records = Records(database, clock)
    await records.load()
    policy = Policy(config.policy)
    identity = connect(config, policy, clock, saves=False)
    stack.push_async_callback(identity.close)
    catalogue = Onlooker(records, place.mark.read)
    copies, store = Copies(database, clock), FilesystemStore(config.images, config.other_stores)
    return Site(
        config, clock, identity, policy, records, catalogue, copies, store, clock.now(),
        Chunks(store, copies, records, config.data / "packs"), home=None, edge=None,
    )  # fmt: skip


def bind(address: tuple[str, int], stack: AsyncExitStack) -> list[socket.socket]:
    """Sockets at an address of which each process has its own; the kernel spreads connections over them.

    Raises ConfigError.
    """
    host, port = address
    ends = []
    try:
        for family, kind, protocol, _, name in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            end = stack.enter_context(socket.socket(family, kind, protocol))
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            end.bind(name)
            end.listen(_WAITING)
            end.setblocking(False)
            ends.append(end)
    except OSError as error:
        raise ConfigError(
            f"[api] listen: {host}:{port} cannot be listened on: {error.strerror}.",
            hint="Stop the other program there, or write another port.",
        ) from None
    return ends
