"""The only wiring: from settings to a running site, and back down in order."""

import asyncio
import fcntl
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from skerry.api.app import application
from skerry.api.context import Edge, Home, Site
from skerry.api.door import Door
from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.config import Config
from skerry.core.clock import Clock, SystemClock
from skerry.core.errors import ConfigError, IdentityAway, SkerryError, UpstreamAway, UpstreamFailed
from skerry.identity.connect import connect, upstream_credential
from skerry.identity.policy import Policy
from skerry.stores.filesystem import FilesystemStore
from skerry.transfer.cache import Cache
from skerry.transfer.imports import Imports
from skerry.transfer.intake import Intake
from skerry.transfer.publish import Publisher, Recovered
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


@asynccontextmanager
async def listening(site: Site) -> AsyncIterator[str]:
    """Answer requests at the address of the settings; yields the URL. Running requests get time to end."""
    host, port = site.config.listen
    app, door = application(site), Door(site.config.api.slow_after)
    app.middlewares.append(door.admit)
    if site.edge is not None:
        app.on_shutdown.append(partial(_end_fetches, site.edge))
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


@asynccontextmanager
async def open_site(config: Config, clock: Clock) -> AsyncIterator[Site]:
    """Put a site together, recover what a crash left, and take it apart again."""
    async with AsyncExitStack() as stack:
        _claim(config.data, stack)
        database = Database(config.database_url)
        stack.push_async_callback(database.close)
        await database.open()
        records, copies = Records(database, clock), Copies(database, clock)
        await records.load()
        await copies.load()
        store = FilesystemStore(config.images)
        publisher = Publisher(store, records, copies, clock)
        policy = Policy(config.policy)
        identity = connect(config, policy, clock)
        stack.push_async_callback(identity.close)
        if config.upstream.url:
            edge = await _edge(config, clock, stack, database, records, copies, store, publisher)
            site = Site(
                config,
                clock,
                identity,
                policy,
                records,
                edge.catalogue,
                copies,
                store,
                clock.now(),
                None,
                edge,
            )
        else:
            home = await _home(config, clock, stack, records, copies, store, publisher)
            site = Site(
                config, clock, identity, policy, records, records, copies, store, clock.now(), home, None
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


async def _home(
    config: Config,
    clock: Clock,
    stack: AsyncExitStack,
    records: Records,
    copies: Copies,
    store: FilesystemStore,
    publisher: Publisher,
) -> Home:
    intake = Intake(store, publisher, config)
    uploads = Uploads(records, copies, store, publisher, intake)
    recovered, unfinished = await publisher.recover(), await uploads.recover()
    if recovered != Recovered() or unfinished:
        log.warning("recovered: %s, %d unfinished uploads and imports", recovered, unfinished)
    imports = Imports(records, publisher, uploads, Web(destinations(config.imports)), clock)
    stack.push_async_callback(imports.close)
    return Home(records, uploads, imports)


async def _edge(
    config: Config,
    clock: Clock,
    stack: AsyncExitStack,
    database: Database,
    records: Records,
    copies: Copies,
    store: FilesystemStore,
    publisher: Publisher,
) -> Edge:
    await publisher.recover()
    settings = config.upstream
    credential = upstream_credential(config, clock)
    stack.push_async_callback(credential.close)
    session = aiohttp.ClientSession(
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
        connector=aiohttp.TCPConnector(limit=0, ssl=_tls(settings.cafile)),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    stack.push_async_callback(session.close)
    upstream = UpstreamImages(settings.url, session, credential, timeout=settings.timeout, clock=clock)
    stack.push_async_callback(upstream.link.close)
    try:
        await upstream.check_credential()
    except (UpstreamAway, UpstreamFailed, IdentityAway) as error:
        log.warning("the credential for upstream could not be checked yet: %s", error)
    catalogue = RemoteCatalogue(
        upstream, records, database, clock, ttl=settings.ttl, max_stale=settings.max_stale
    )
    await catalogue.load()
    stack.push_async_callback(_write_down, catalogue.flush)
    cache = Cache(
        store, copies, publisher, upstream, catalogue, clock,
        limit=config.cache.size, prestages=config.cache.fetches, stall=settings.stall,
    )  # fmt: skip
    await cache.start()
    stack.push_async_callback(cache.close)
    return Edge(upstream, catalogue, cache)


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
        except Exception:
            log.exception("housekeeping failed; it is tried again")


async def _write_down(flush: Callable[[], Awaitable[None]]) -> None:
    """Uses and ages are worth having, and no reason to stop when the disk is full."""
    try:
        await flush()
    except SkerryError as error:
        log.warning("uses and ages could not be written down: %s", error)
