"""What each kind of site is made of: a home, an edge that asks its upstream, a member of a tree of sites."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from skerry.api.context import Edge, Feed, Home, Placing
from skerry.catalog.base import EdgeCatalogue
from skerry.catalog.copies import Copies
from skerry.catalog.database import Database
from skerry.catalog.heartbeat import beat
from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.config import Config
from skerry.core.clock import Clock
from skerry.core.errors import (
    ConfigError,
    IdentityAway,
    NoSpace,
    SkerryError,
    UpstreamAway,
    UpstreamFailed,
)
from skerry.core.feed.entry import Stream
from skerry.core.image import Image
from skerry.core.placement.knowledge import Report
from skerry.core.placement.plan import Plan
from skerry.identity.connect import upstream_credential
from skerry.identity.credential import FixedCredential
from skerry.stores.filesystem import FilesystemStore
from skerry.sync.above import Above
from skerry.sync.belonging import Belonging
from skerry.sync.directions import FromFeed
from skerry.sync.follower import Follower
from skerry.sync.knowing import Knowing
from skerry.sync.observing import observe
from skerry.sync.placements import Placements
from skerry.sync.planning import Planning
from skerry.sync.reconciler import Reconciler
from skerry.sync.replica import ReplicaCatalogue
from skerry.sync.reporter import Reporter, reports
from skerry.sync.source import Source
from skerry.transfer.cache import Cache
from skerry.transfer.chunks import Chunks
from skerry.transfer.deposits import Deposits
from skerry.transfer.imports import Imports
from skerry.transfer.intake import Intake
from skerry.transfer.publish import Publisher
from skerry.transfer.sending import Sending
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
    return Edge(upstream, catalogue, await _cache(parts, upstream, catalogue))


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


async def _cache(parts: Parts, upstream: UpstreamImages, catalogue: EdgeCatalogue) -> Cache:
    config = parts.config
    cache = Cache(
        parts.store, parts.copies, parts.publisher, upstream, catalogue, parts.clock,
        limit=config.cache.size, prestages=config.cache.fetches, stall=config.upstream.stall,
        chunks=parts.chunks,
    )  # fmt: skip
    await cache.start()
    parts.stack.push_async_callback(cache.close)
    return cache


def make_journal(config: Config, clock: Clock, database: Database, belonging: Belonging) -> Journal:
    """The journal of a site that is one of several."""
    return Journal(database, belonging.name, belonging.key, clock, head_lifetime=config.feed.head_lifetime)


async def make_member(parts: Parts, belonging: Belonging, journal: Journal) -> tuple[Edge | None, Feed]:
    """What makes a site one of several; the centre has no upstream to live from."""
    if entered := await parts.records.backfill():
        log.info("the journal begins with %d images that were here before it", entered)
    family = belonging.family(journal)
    if belonging.upstream is None:
        source = Source(journal, parts.records, family, gone=parts.publisher.evict, follows=False)
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
    await parts.stack.enter_async_context(running(sending.run(), "send-bytes"))
    await parts.stack.enter_async_context(running(follower.run(), "feed"))
    source = Source(journal, parts.records, family, gone=cache.forget, follows=True)
    deposits = _deposits(parts, claim=cache.give_way, done=sending.look_again, cached=True)
    feed = Feed(journal, family, source, deposits, follower, belonging.peer)
    return Edge(upstream, catalogue, cache), feed


async def make_placing(parts: Parts, journal: Journal, centre: str, edge: Edge | None) -> Placing:
    """What makes a site what its placements say. To be called when it is all there."""
    planning = Planning(journal.home, FromFeed(journal, Stream(centre)), parts.records, parts.clock)
    reconciler = None
    if edge is not None:
        reconciler = Reconciler(
            journal.home, planning, parts.copies, parts.store, edge.cache, parts.clock,
            reporter=Reporter(parts.database, journal),
        )  # fmt: skip
        await parts.stack.enter_async_context(running(reconciler.run(), "reconcile"))

    async def own() -> dict[str, Report]:
        if reconciler is not None:
            return await reconciler.reports()
        here = await observe(parts.copies, parts.store, None)
        return reports(here, (), Plan(()), parts.clock.now().timestamp())

    knowing = Knowing(
        journal.home, planning, parts.records, journal, own, parts.clock,
        silent_after=max(parts.config.feed.silent_after, parts.config.feed.head_lifetime),
    )  # fmt: skip
    return Placing(Placements(planning, knowing, parts.database, journal), knowing, reconciler)


def _deposits(
    parts: Parts, *, claim: Callable[[Image], Awaitable[None]], done: Callable[[], None], cached: bool
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
