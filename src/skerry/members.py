"""What a site is made of that is one of several: a member of a tree of sites, or its centre.

A site that stands alone loads nothing of this.
"""

import asyncio
import ctypes
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

from skerry.api.context import Edge, Feed, Placing
from skerry.api.federation import Federation
from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.claim import Claim
from skerry.config import Config
from skerry.core.clock import Clock
from skerry.core.enrolment import Token
from skerry.core.errors import ConfigError, NoSpace
from skerry.core.feed.entry import Stream
from skerry.core.image import Image
from skerry.core.placement.knowledge import Report
from skerry.core.placement.plan import Plan
from skerry.identity.credential import FixedCredential
from skerry.identity.joining import join as join_others
from skerry.identity.membership import Belongs, open_membership
from skerry.identity.policy import Policy
from skerry.kinds import Parts, make_cache, running
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
from skerry.sync.scopes import Scopes
from skerry.sync.source import Source
from skerry.transfer.deposits import Deposits
from skerry.transfer.sending import Sending
from skerry.upstream.client import UpstreamImages

_M_MMAP_THRESHOLD = -3
"""See mallopt(3): from so many bytes on an allocation is one of the system's own. Set once, it stays."""

log = logging.getLogger(__name__)


async def join(config: Config, url: str, token: Token) -> Belongs:
    """Have a site that does not run join others; raises what `identity.joining.join` does."""
    async with AsyncExitStack() as stack:
        stack.enter_context(Claim(config.data)).take()
        return await join_others(config, url, token)


async def begin_anew(config: Config, clock: Clock, belonging: Belonging | None = None) -> int:
    """Begin the records of a site that does not run anew, after it was restored from a backup.

    Returns the new epoch. Raises ConfigError, also when the site runs, or stands alone. `belonging` as for
    `open_site`.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(Claim(config.data)).take()
        if belonging is None and not config.alone:
            belonging = await open_federation(config, clock)
        if belonging is None:
            raise ConfigError(
                "This site stands alone: nobody follows its records.",
                hint="Only the records of a site that is one of several can begin anew.",
            )
        database = Database(config.database_url)
        stack.push_async_callback(database.close)
        await database.open()
        journal = make_journal(config, clock, database, belonging)
        await journal.load()
        return await journal.begin_anew()


def make_journal(config: Config, clock: Clock, database: Database, belonging: Belonging) -> Journal:
    """The journal of a site that is one of several."""
    return Journal(database, belonging.name, belonging.key, clock, head_lifetime=config.feed.head_lifetime)


async def open_federation(config: Config, clock: Clock) -> Federation:
    """What makes a site one of several that has joined others, or listens to them. Raises ConfigError."""
    _give_memory_back()
    membership = await asyncio.to_thread(open_membership, config, clock.now())
    return Federation(membership, clock)


def _give_memory_back() -> None:
    """Have the buffers of a TLS connection (256 KiB in uvloop) go back to the system when it ends.

    glibc begins to keep such buffers once it has seen a few of them come and go, so each time that a thousand
    sites come back at once would cost 75 MB for good. Other C libraries do not know the call, or ignore it.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 128 << 10)


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

    def connect(name: str, url: str) -> UpstreamImages:
        return UpstreamImages(
            url, belonging.session(name), FixedCredential(), timeout=config.upstream.timeout, clock=clock
        )

    cache = await make_cache(parts, upstream, catalogue, connect)
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


async def make_placing(
    parts: Parts, journal: Journal, federation: Federation, policy: Policy, edge: Edge | None
) -> Placing:
    """What makes a site what its placements say. To be called when it is all there."""
    planning = Planning(
        journal.home, FromFeed(journal, Stream(federation.membership.centre)), parts.records, parts.clock
    )
    scopes = Scopes(planning, federation.sites)
    policy.site_reads = scopes.may_have
    reconciler = None
    if edge is not None:
        edge.cache.check = scopes.check
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
    return Placing(Placements(planning, knowing, parts.database, journal), knowing, scopes, reconciler)


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
