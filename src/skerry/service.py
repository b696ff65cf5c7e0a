"""The only wiring: from settings to a running site, and back down in order."""

import asyncio
import fcntl
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from skerry.api.app import application
from skerry.api.context import Edge, Feed, Home, Site
from skerry.api.door import Door
from skerry.catalog.base import EdgeCatalogue
from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.config import Config
from skerry.core.clock import Clock, SystemClock
from skerry.core.errors import (
    ConfigError,
    IdentityAway,
    NoSpace,
    SkerryError,
    UpstreamAway,
    UpstreamFailed,
)
from skerry.core.image import Image
from skerry.identity.connect import connect, upstream_credential
from skerry.identity.credential import FixedCredential
from skerry.identity.policy import Policy
from skerry.stores.filesystem import FilesystemStore
from skerry.sync.above import Above
from skerry.sync.belonging import Belonging
from skerry.sync.follower import Follower
from skerry.sync.replica import ReplicaCatalogue
from skerry.sync.source import Source
from skerry.transfer.cache import Cache
from skerry.transfer.deposits import Deposits
from skerry.transfer.imports import Imports
from skerry.transfer.intake import Intake
from skerry.transfer.publish import Publisher, Recovered
from skerry.transfer.sending import Sending
from skerry.transfer.uploads import Uploads
from skerry.transfer.web import Web, destinations
from skerry.upstream.catalogue import RemoteCatalogue
from skerry.upstream.client import UpstreamImages

log = logging.getLogger(__name__)

_HOUSEKEEPING = 15.0
"""Seconds between the moments at which uses and ages are written down and leftovers swept up."""

_GRACE = 10.0
"""Seconds that running requests get when the site is told to stop."""


async def serve(config: Config) -> None:
    """Run one site until SIGTERM or SIGINT. Raises ConfigError for what can only be found out by trying."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_site(config, SystemClock()) as site, listening(site) as url:
        log.info("site %s answers on %s", config.site.name, url)
        await stop.wait()


async def upgrade(config: Config) -> str | None:
    """Bring the database of a site that does not run up to this version; returns which it was at, if any.

    Raises ConfigError, also when the site runs.
    """
    async with AsyncExitStack() as stack:
        _claim(config.data, stack)
        database = Database(config.database_url)
        stack.push_async_callback(database.close)
        before = await database.version()
        await database.open()
        return before


async def begin_anew(config: Config, clock: Clock, belonging: Belonging) -> int:
    """Begin the records of a site that does not run anew, after it was restored from a backup.

    Returns the new epoch. Raises ConfigError, also when the site runs.
    """
    async with AsyncExitStack() as stack:
        _claim(config.data, stack)
        database = Database(config.database_url)
        stack.push_async_callback(database.close)
        await database.open()
        journal = _journal(config, clock, database, belonging)
        await journal.load()
        return await journal.begin_anew()


@asynccontextmanager
async def listening(site: Site) -> AsyncIterator[str]:
    """Answer requests at the address of the settings; yields the URL. Running requests get time to end."""
    host, port = site.config.listen
    app, door = application(site), Door(site.config.api.slow_after)
    app.middlewares.append(door.admit)
    if site.edge is not None:
        app.on_shutdown.append(partial(_end_fetches, site.edge))
    if site.feed is not None:
        app.on_shutdown.append(partial(_end_polls, site.feed))
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_GRACE,
        keepalive_timeout=75,
        auto_decompress=False,
    )
    await runner.setup()
    assert runner.server is not None
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        try:
            entrance = await door.open(runner.server, host, port)
        except OSError as error:
            raise ConfigError(
                f"[api] listen: {site.config.api.listen} cannot be listened on: {error.strerror}.",
                hint="Stop the other program there, or write another port.",
            ) from None
        stack.callback(entrance.close)
        port = entrance.sockets[0].getsockname()[1]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _end_fetches(edge: Edge, app: web.Application) -> None:
    """When the site stops: those who wait for bytes hear of it now, not when the grace is over."""
    await edge.cache.close()


async def _end_polls(feed: Feed, app: web.Application) -> None:
    feed.source.close()


@asynccontextmanager
async def open_site(config: Config, clock: Clock, belonging: Belonging | None = None) -> AsyncIterator[Site]:
    """Put a site together, recover what a crash left, and take it apart again.

    `belonging` is its place in a tree of sites; without it the site stands alone.
    """
    async with AsyncExitStack() as stack:
        _claim(config.data, stack)
        database = Database(config.database_url)
        stack.push_async_callback(database.close)
        await database.open()
        journal = None if belonging is None else _journal(config, clock, database, belonging)
        records, copies = Records(database, clock, journal=journal), Copies(database, clock)
        if journal is not None:
            await journal.load()
            await records.forget_remote()
        await records.load()
        await copies.load()
        store = FilesystemStore(config.images)
        publisher = Publisher(store, records, copies, clock)
        policy = Policy(config.policy)
        identity = connect(config, policy, clock)
        stack.push_async_callback(identity.close)
        parts = _Parts(config, clock, stack, database, records, copies, store, publisher)
        recovered = await publisher.recover()
        if recovered != Recovered():
            log.warning("recovered: %s", recovered)
        home = edge = feed = None
        if belonging is not None and journal is not None:
            home = await _home(parts)
            edge, feed = await _member(parts, belonging, journal)
        elif config.upstream.url:
            edge = await _edge(parts)
        else:
            home = await _home(parts)
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
            home,
            edge,
            feed,
        )
        keeper = asyncio.create_task(_keep_house(site), name="housekeeping")
        try:
            yield site
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper


def _tls(cafile: str) -> ssl.SSLContext | bool:
    """How to check the upstream's certificate: by the operator's CA file, else by the system's."""
    if not cafile:
        return True
    try:
        return ssl.create_default_context(cafile=cafile)
    except OSError as error:
        raise ConfigError(
            f"[upstream] cafile: {cafile} cannot be used: {error}.", hint="Name a PEM file of certificates."
        ) from None


def _claim(data: Path, stack: AsyncExitStack) -> None:
    """Make the data folder and keep a second program out of it."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = os.open(data / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"[site] data: {data} cannot be used: {error.strerror}.",
            hint="Name a folder that this user may write.",
        ) from None
    stack.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"[site] data: another skerry serves from {data}.", hint="Stop it, or name another folder."
        ) from None


@dataclass(frozen=True, slots=True)
class _Parts:
    """What every kind of site is made of."""

    config: Config
    clock: Clock
    stack: AsyncExitStack
    database: Database
    records: Records
    copies: Copies
    store: FilesystemStore
    publisher: Publisher


async def _home(parts: _Parts) -> Home:
    intake = Intake(parts.store, parts.publisher, parts.config)
    uploads = Uploads(parts.records, parts.copies, parts.store, parts.publisher, intake)
    if unfinished := await uploads.recover():
        log.warning("recovered: %d unfinished uploads and imports", unfinished)
    web_ = Web(destinations(parts.config.imports))
    imports = Imports(parts.records, parts.publisher, uploads, web_, parts.clock)
    parts.stack.push_async_callback(imports.close)
    return Home(parts.records, uploads, imports)


async def _edge(parts: _Parts) -> Edge:
    """An edge that asks its upstream through the Image API alone."""
    config, clock = parts.config, parts.clock
    settings = config.upstream
    credential = upstream_credential(config, clock)
    parts.stack.push_async_callback(credential.close)
    session = aiohttp.ClientSession(
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
        connector=aiohttp.TCPConnector(limit=0, ssl=_tls(settings.cafile)),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    parts.stack.push_async_callback(session.close)
    upstream = UpstreamImages(settings.url, session, credential, timeout=settings.timeout, clock=clock)
    parts.stack.push_async_callback(upstream.link.close)
    try:
        await upstream.check_credential()
    except (UpstreamAway, UpstreamFailed, IdentityAway) as error:
        log.warning("the credential for upstream could not be checked yet: %s", error)
    catalogue = RemoteCatalogue(
        upstream, parts.records, parts.database, clock, ttl=settings.ttl, max_stale=settings.max_stale
    )
    await catalogue.load()
    parts.stack.push_async_callback(_write_down, catalogue.flush)
    return Edge(upstream, catalogue, await _cache(parts, upstream, catalogue))


async def _cache(parts: _Parts, upstream: UpstreamImages, catalogue: EdgeCatalogue) -> Cache:
    config = parts.config
    cache = Cache(
        parts.store, parts.copies, parts.publisher, upstream, catalogue, parts.clock,
        limit=config.cache.size, prestages=config.cache.fetches, stall=config.upstream.stall,
    )  # fmt: skip
    await cache.start()
    parts.stack.push_async_callback(cache.close)
    return cache


def _journal(config: Config, clock: Clock, database: Database, belonging: Belonging) -> Journal:
    return Journal(database, belonging.name, belonging.key, clock, head_lifetime=config.feed.head_lifetime)


async def _member(parts: _Parts, belonging: Belonging, journal: Journal) -> tuple[Edge | None, Feed]:
    """What makes a site one of several; the centre has no upstream to live from."""
    if entered := await parts.records.backfill():
        log.info("the journal begins with %d images that were here before it", entered)
    family = belonging.family(journal)
    if belonging.upstream is None:
        source = Source(journal, parts.records, family, gone=parts.publisher.evict)
        deposits = _deposits(parts, claim=_check_space(parts.store), done=lambda: None, cached=False)
        return None, Feed(journal, family, source, deposits, None, belonging.peer)
    config, clock = parts.config, parts.clock
    session = belonging.session()
    parts.stack.push_async_callback(session.close)
    upstream = UpstreamImages(
        belonging.upstream, session, FixedCredential(), timeout=config.upstream.timeout, clock=clock
    )
    parts.stack.push_async_callback(upstream.link.close)
    catalogue = ReplicaCatalogue(
        parts.records,
        journal,
        clock,
        lambda: follower.contact,
        silent_after=config.feed.silent_after,
    )
    cache = await _cache(parts, upstream, catalogue)
    sending = Sending(parts.store, parts.copies, upstream, stall=config.upstream.stall)
    follower = Follower(
        journal,
        parts.records,
        family,
        Above(upstream),
        upstream.link,
        clock,
        gone=cache.forget,
        wanted=sending.wanted,
    )
    await parts.stack.enter_async_context(_running(sending.run(), "send-bytes"))
    await parts.stack.enter_async_context(_running(follower.run(), "feed"))
    source = Source(journal, parts.records, family, gone=cache.forget)
    deposits = _deposits(parts, claim=cache.give_way, done=sending.look_again, cached=True)
    feed = Feed(journal, family, source, deposits, follower, belonging.peer)
    return Edge(upstream, catalogue, cache), feed


def _deposits(
    parts: _Parts, *, claim: Callable[[Image], Awaitable[None]], done: Callable[[], None], cached: bool
) -> Deposits:
    api = parts.config.api
    return Deposits(
        parts.store, parts.copies, parts.records, parts.publisher,
        claim=claim, done=done, cached=cached, least=api.min_rate, window=api.slow_after,
    )  # fmt: skip


def _check_space(store: FilesystemStore) -> Callable[[Image], Awaitable[None]]:
    """At a site whose copies are not evicted there is room, or there is not."""

    async def check(image: Image) -> None:
        if (image.size or 0) > await asyncio.to_thread(store.free):
            raise NoSpace(f"There is no space left for image {image.id}.", hint="Free space at this site.")

    return check


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Have `work` go on in the background until the end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_house(site: Site) -> None:
    while True:
        await asyncio.sleep(_HOUSEKEEPING)
        try:
            await _write_down(site.copies.flush)
            if site.edge is not None:
                await _write_down(site.edge.catalogue.flush)
                await site.edge.cache.sweep()
            if site.home is not None:
                await site.home.uploads.tidy_up()
            if site.feed is not None:
                await site.feed.deposits.sweep()
                await site.feed.journal.prune(keep=site.config.feed.keep_deleted)
        except Exception:
            log.exception("housekeeping failed; it is tried again")


async def _write_down(flush: Callable[[], Awaitable[None]]) -> None:
    """Uses and ages are worth having, and no reason to stop when the disk is full."""
    try:
        await flush()
    except SkerryError as error:
        log.warning("uses and ages could not be written down: %s", error)
