"""The only wiring, with `kinds` and `members`: from settings to a running site, and back down in order."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web
from msgspec.structs import replace

from skerry.api.app import application
from skerry.api.context import Edge, Feed, Site
from skerry.api.door import Door
from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.claim import Claim
from skerry.config import Config
from skerry.core.clock import Clock, SystemClock
from skerry.core.errors import (
    ConfigError,
)
from skerry.identity.connect import connect
from skerry.identity.policy import Policy
from skerry.kinds import (
    Parts,
    make_edge,
    make_home,
    open_replica,
    running,
    write_down,
)
from skerry.stores.filesystem import FilesystemStore
from skerry.transfer.chunks import Chunks
from skerry.transfer.egress import Egress
from skerry.transfer.indexing import Indexer
from skerry.transfer.publish import Publisher, Recovered

if TYPE_CHECKING:
    from skerry.api.federation import Federation
    from skerry.sync.belonging import Belonging

log = logging.getLogger(__name__)

_HOUSEKEEPING = 15.0
"""Seconds between the moments at which uses and ages are written down and leftovers swept up."""

_LONGEST_LINE = 64 << 10
"""Bytes of a request's first line: a site says where it stands with each of a thousand others."""

_PRUNING = 3600.0
"""Seconds between the moments at which old deletions are forgotten."""

_GRACE = 10.0
"""Seconds that running requests get when the site is told to stop."""


async def serve(config: Config) -> None:
    """Run one site until SIGTERM or SIGINT. Raises ConfigError for what can only be found out by trying."""
    stop = told_to_stop()
    async with open_site(config, SystemClock()) as site, listening(site) as url:
        log.info("site %s answers on %s", site.config.site.name, url)
        await stop.wait()


def told_to_stop() -> asyncio.Event:
    """Is set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def upgrade(config: Config) -> str | None:
    """Bring the database of a site that does not run up to this version; returns which it was at, if any.

    Raises ConfigError, also when the site runs.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(Claim(config.data)).take()
        database = Database(config.database_url)
        stack.push_async_callback(database.close)
        before = await database.version()
        await database.open()
        return before


@asynccontextmanager
async def listening(site: Site, at: Sequence[socket.socket] = ()) -> AsyncIterator[str]:
    """Answer requests at the addresses of the settings, or those of the API `at` sockets that are open
    already; yields the URL of the API.

    Running requests get time to end.
    """
    door = Door(site.config.api.slow_after)
    app = application(site, door.heard)
    if site.edge is not None:
        app.on_shutdown.append(partial(_end_fetches, site.edge))
    if site.feed is not None:
        app.on_shutdown.append(partial(_end_polls, site.feed))
    runner = runner_of(app)
    await runner.setup()
    assert runner.server is not None
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        if site.federation is not None and site.config.listen_to_sites is not None:
            there = await _enter(
                site.config.listen_to_sites, "sites", door, runner.server, stack, site.federation
            )
            await site.federation.be_reached_at(f"https://{there}")
            log.info("site %s listens to other sites on %s", site.config.site.name, there)
        if not at:
            yield f"http://{await _enter(site.config.listen, 'api', door, runner.server, stack)}"
            return
        for entrance in at:
            stack.callback((await door.open_at(runner.server, entrance)).close)
        yield f"http://{_shown(at[0])}"


def runner_of(app: web.Application) -> web.AppRunner:
    """What runs the HTTP side of a process."""
    return web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_GRACE,
        keepalive_timeout=75,
        auto_decompress=False,
        max_line_size=_LONGEST_LINE,
    )


def _shown(entrance: Any) -> str:
    """The address of a socket as part of a URL."""
    host, port = entrance.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _enter(
    address: tuple[str, int],
    section: str,
    door: Door,
    server: "web.Server",
    stack: AsyncExitStack,
    federation: "Federation | None" = None,
) -> str:
    """Let connections in at an address, over TLS those of a federation; returns what it turned out to be."""
    host, port = address
    tls = federation.membership.server_context() if federation is not None else None
    try:
        entrance = await door.open(server, host, port, tls)
    except OSError as error:
        raise ConfigError(
            f"[{section}] listen: {host}:{port} cannot be listened on: {error.strerror}.",
            hint="Stop the other program there, or write another port.",
        ) from None
    stack.callback(entrance.close)
    port = entrance.sockets[0].getsockname()[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _end_fetches(edge: Edge, app: web.Application) -> None:
    """When the site stops: those who wait for bytes hear of it now, not when the grace is over."""
    await edge.cache.close()


async def _end_polls(feed: Feed, app: web.Application) -> None:
    feed.source.close()


@asynccontextmanager
async def open_site(
    config: Config, clock: Clock, belonging: "Belonging | None" = None, *, claimed: bool = False
) -> AsyncIterator[Site]:
    """Put a site together, recover what a crash left, and take it apart again.

    `belonging` is its place in a tree of sites, where that is not what its folder `identity` says. `claimed`:
    this process has the claim to the data folder already.
    """
    async with AsyncExitStack() as stack:
        if not claimed:
            stack.enter_context(Claim(config.data)).take()
        federation = journal = None
        if belonging is None and not config.alone:
            from skerry.members import open_federation

            belonging = federation = await open_federation(config, clock)
            config = replace(config, site=replace(config.site, name=federation.name))
        database = Database(config.database_url)
        stack.push_async_callback(database.close)
        await database.open()
        if belonging is not None:
            from skerry.members import make_journal

            journal = make_journal(config, clock, database, belonging)
        replica = open_replica(config, stack)
        records = Records(replica or database, clock, journal=journal)
        copies = Copies(database, clock)
        if journal is not None:
            await journal.load()
            if federation is not None:
                await federation.open(database, journal)
            await records.forget_remote()
        if replica is None:
            await records.load()
        await copies.load()
        store = FilesystemStore(config.images, config.other_stores)
        publisher = Publisher(store, records, copies, clock)
        policy = Policy(config.policy)
        identity = connect(config, policy, clock)
        stack.push_async_callback(identity.close)
        chunks = Chunks(store, copies, records, config.data / "packs")
        parts = Parts(config, clock, stack, database, records, copies, store, publisher, chunks, replica)
        recovered = await publisher.recover()
        if recovered != Recovered():
            log.warning("recovered: %s", recovered)
        home = edge = feed = placing = renewal = None
        if belonging is not None and journal is not None:
            from skerry.api.renewal import Renewal
            from skerry.members import make_member, make_placing

            home = await make_home(parts)
            edge, feed = await make_member(parts, belonging, journal)
            if federation is not None:
                placing = await make_placing(parts, journal, federation, policy, edge)
                renewal = Renewal(federation, clock)
        elif config.upstream.url:
            edge = await make_edge(parts)
        else:
            home = await make_home(parts)
        site = Site(
            config,
            clock,
            identity,
            policy,
            records,
            records if edge is None else edge.catalogue,
            copies,
            store,
            clock.now(),
            parts.chunks,
            home,
            edge,
            feed,
            federation,
            renewal,
            placing,
            Egress(config.transfer.egress),
        )
        indexer = Indexer(store, copies, records, publisher)
        async with running(_keep_house(site), "housekeeping"), running(indexer.run(), "index"):
            yield site


async def _keep_house(site: Site) -> None:
    pruning = 0.0
    while True:
        await _tend(site)
        await asyncio.sleep(_HOUSEKEEPING)
        try:
            await write_down(site.copies.flush)
            if site.edge is not None:
                await write_down(site.edge.catalogue.flush)
                if site.feed is None:
                    await site.edge.cache.sweep()
            if site.home is not None:
                await site.home.uploads.tidy_up()
            if site.feed is not None:
                await site.feed.source.sweep(site.copies)
                if time.monotonic() >= pruning:
                    await site.feed.journal.prune(keep=site.config.feed.keep_deleted)
                    pruning = time.monotonic() + _PRUNING
        except Exception:
            log.exception("housekeeping failed; it is tried again")


async def _tend(site: Site) -> None:
    """See to this site's own key and place, if it has one among others."""
    if site.renewal is None or site.federation is None:
        return
    try:
        await site.renewal.tend()
        if site.edge is not None and site.federation.upstream is not None:
            site.edge.upstream.url = site.federation.upstream
    except Exception:
        log.exception("the key and the place of this site could not be seen to; it is tried again")
