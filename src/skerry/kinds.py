"""What a site is made of that is home to images, or an edge of an upstream. `members` has the third kind."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from skerry.api.context import Edge, Home
from skerry.catalog.base import EdgeCatalogue
from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.heartbeat import beat
from skerry.catalog.records import Records
from skerry.config import Config
from skerry.core.clock import Clock
from skerry.core.errors import (
    ConfigError,
    IdentityAway,
    SkerryError,
    UpstreamAway,
    UpstreamFailed,
)
from skerry.identity.connect import upstream_credential
from skerry.stores.filesystem import FilesystemStore
from skerry.transfer.cache import Cache
from skerry.transfer.chunks import Chunks
from skerry.transfer.imports import Imports
from skerry.transfer.intake import Intake
from skerry.transfer.publish import Publisher
from skerry.transfer.siblings import Connect, Siblings
from skerry.transfer.uploads import Uploads
from skerry.transfer.web import Web, destinations
from skerry.upstream.catalogue import RemoteCatalogue
from skerry.upstream.client import UpstreamImages
from skerry.upstream.replicated import ReplicatedCatalogue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What every kind of site is made of. `records` are in `replica` if there is one, else in `database`."""

    config: Config
    clock: Clock
    stack: AsyncExitStack
    database: Database
    records: Records
    copies: Copies
    store: FilesystemStore
    publisher: Publisher
    chunks: Chunks
    replica: Database | None = None


def open_replica(config: Config, stack: AsyncExitStack) -> Database | None:
    """The database with the home's records, where one is kept for this site. It may not answer yet."""
    url = config.upstream.replica
    if not url:
        return None
    replica = Database(url, read_only=True, setting="[upstream] replica")
    stack.push_async_callback(replica.close)
    return replica


async def make_home(parts: Parts) -> Home:
    """The ways in for records and bytes."""
    intake = Intake(parts.store, parts.publisher, parts.config)
    uploads = Uploads(parts.records, parts.copies, parts.store, parts.publisher, intake)
    if unfinished := await uploads.recover():
        log.warning("recovered: %d unfinished uploads and imports", unfinished)
    web_ = Web(destinations(parts.config.imports))
    imports = Imports(parts.records, parts.publisher, uploads, web_, parts.clock)
    parts.stack.push_async_callback(imports.close)
    if parts.config.database_url.startswith("postgresql"):
        await parts.stack.enter_async_context(running(beat(parts.database, parts.clock), "heartbeat"))
    return Home(parts.records, uploads, imports)


async def make_edge(parts: Parts) -> Edge:
    """An edge that asks its upstream through the Image API alone, or has a replica of its records."""
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
    catalogue = await (_remote(parts, upstream) if parts.replica is None else _replicated(parts))
    return Edge(upstream, catalogue, await make_cache(parts, upstream, catalogue))


async def _remote(parts: Parts, upstream: UpstreamImages) -> EdgeCatalogue:
    """Records that are asked for."""
    settings = parts.config.upstream
    catalogue = RemoteCatalogue(
        upstream, parts.records, parts.database, parts.clock, ttl=settings.ttl, max_stale=settings.max_stale
    )
    await catalogue.load()
    parts.stack.push_async_callback(write_down, catalogue.flush)
    return catalogue


async def _replicated(parts: Parts) -> EdgeCatalogue:
    """Records that PostgreSQL brings. A replica that does not answer yet is waited for in the background."""
    assert parts.replica is not None
    catalogue = ReplicatedCatalogue(
        parts.replica, parts.records, parts.clock, silent_after=parts.config.feed.silent_after
    )
    with suppress(SkerryError):
        await catalogue.look()
    await parts.stack.enter_async_context(running(catalogue.run(), "replica"))
    return catalogue


async def make_cache(
    parts: Parts, upstream: UpstreamImages, catalogue: EdgeCatalogue, connect: Connect | None = None
) -> Cache:
    """The copies of the images of `upstream`; `connect` reaches a sibling."""
    config = parts.config
    siblings = Siblings(upstream, connect, gives=config.transfer.egress > 0)
    parts.stack.push_async_callback(siblings.close)
    cache = Cache(
        parts.store, parts.copies, parts.publisher, upstream, catalogue, parts.clock,
        limit=config.cache.size, prestages=config.cache.fetches, stall=config.upstream.stall,
        rate=config.upstream.rate or None, chunks=parts.chunks, siblings=siblings,
    )  # fmt: skip
    await cache.start()
    parts.stack.push_async_callback(cache.close)
    return cache


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Have `work` go on in the background until the end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


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


async def write_down(flush: Callable[[], Awaitable[None]]) -> None:
    """Uses and ages are worth having, and no reason to stop when the disk is full."""
    try:
        await flush()
    except SkerryError as error:
        log.warning("uses and ages could not be written down: %s", error)
