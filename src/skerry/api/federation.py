"""This site among others: who of them comes in, and who may come in from now on."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp import web

from skerry.api.visitors import connection_of
from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.sites import Sites
from skerry.core import enrolment
from skerry.core.clock import Clock
from skerry.core.enrolment import Answer, Request
from skerry.core.errors import Busy, Forbidden
from skerry.core.signing import SigningKey
from skerry.core.site import path
from skerry.core.swarm.meeting import Meeting
from skerry.identity.membership import Membership
from skerry.identity.tls import Peer, peer_of

_AT_ONCE = 4
_WAITING = 64
"""Requests to join that are worked on, and that wait; each proves by itself whose it is."""


class Federation:
    """What a site has that belongs to others: a `sync.belonging.Belonging`. `open` it before anything else.

    `url` is where it listens to them, once it does. `desk` is where requests to join queue up, `meeting`
    where sites below find each other.
    """

    sites: Sites

    def __init__(self, membership: Membership, clock: Clock) -> None:
        self.membership = membership
        self.url = membership.folder.url
        self.desk = Desk()
        self.meeting = Meeting()
        self._clock = clock
        self._peers: WeakKeyDictionary[ssl.SSLObject, Peer] = WeakKeyDictionary()

    async def open(self, database: Database, journal: Journal) -> None:
        """Read which sites there are; the centre enters itself among them."""
        own = self.membership
        self.sites = Sites(
            database, journal, self._clock, name=own.name, centre=own.centre, keys=own.centre_keys
        )
        await self.sites.load()
        if self.is_centre:
            await self.sites.be_centre(own.key.public, self.url)

    async def be_reached_at(self, url: str) -> None:
        """Hear where this site listens, for want of a URL in its settings."""
        self.url = self.url or url
        if self.is_centre:
            await self.sites.be_centre(self.key.public, self.url)

    @property
    def is_centre(self) -> bool:
        """Whether this site says who belongs to it."""
        return self.membership.upstream is None

    # What the feed asks

    @property
    def name(self) -> str:
        """This site."""
        return self.membership.name

    @property
    def key(self) -> SigningKey:
        """What it signs with; another one from the moment on that it is changed."""
        return self.membership.key

    @property
    def upstream(self) -> str | None:
        """The URL at which the site above answers other sites."""
        return None if self.membership.upstream is None else self.membership.upstream.url

    def family(self, journal: Journal) -> Sites:
        """The other sites."""
        return self.sites

    def session(self, site: str | None = None) -> aiohttp.ClientSession:
        """For requests to the site above, or another, made as this site."""
        return aiohttp.ClientSession(
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
            connector=aiohttp.TCPConnector(limit=0, ssl=self.membership.client_context(site)),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def peer(self, request: web.Request) -> str | None:
        """The site that makes a request here. Raises Forbidden for one that is not let in."""
        connection = connection_of(request)
        return None if connection is None else self.admit(connection)

    # Who comes in

    def admit(self, connection: ssl.SSLObject) -> str:
        """The site at the other end. Raises Forbidden when it is not let in, at this moment."""
        peer = self.certified(connection)
        if peer is None:
            raise Forbidden(
                "Sites are served here, and show a certificate.", hint="Users are served at the site's API."
            )
        if self._clock.now().timestamp() >= peer.expires:
            raise Forbidden(f"The certificate of site {peer.name} has expired.")
        self.sites.check(peer.name, peer.key if self.membership.folder.issued else None)
        return peer.name

    def certified(self, connection: ssl.SSLObject) -> Peer | None:
        """Who is at the other end, let in or not."""
        known = self._peers.get(connection)
        if known is None and (known := peer_of(connection)) is not None:
            self._peers[connection] = known
        return known

    # Who may come in

    async def grant(self, body: bytes, connection: ssl.SSLObject | None) -> bytes:
        """The centre's answer to a request to join, or for a new key.

        Raises InvalidInput, Forbidden, Conflict.
        """
        request = enrolment.decode_request(body)
        self.check_certified(request, connection)
        if request.site == self.name:
            raise Forbidden(f"{request.site} is the centre.")
        record = await self.sites.admit(request)
        upstream = self.sites.get(record.upstream or self.name)
        answer = Answer(
            request.site,
            request.key,
            upstream.name,
            upstream.url,
            self.certify(request),
            self.name,
            self.sites.keys(self.name),
        )
        return enrolment.encode_answer(answer, self.key)

    def certify(self, request: Request) -> str:
        """A certificate by this site's authority; empty where the operator issues them."""
        authority = self.membership.authority
        return authority.issue(request.site, request.key, self._clock.now()) if authority else ""

    def check_certified(self, request: Request, connection: ssl.SSLObject | None) -> None:
        """Where the operator issues certificates, a request has to come from its site, or one above it.

        Raises Forbidden.
        """
        if self.membership.folder.issued:
            return
        peer = None if connection is None else self.certified(connection)
        if peer is None or connection is None:
            raise Forbidden(
                f"A certificate of site {request.site} is needed.", hint="Ask at the [sites] url."
            )
        if peer.name == request.site:
            return
        if self.admit(connection) not in path(self.sites.all(), request.site):
            raise Forbidden(f"Site {peer.name} has nothing to ask for {request.site}.")


class Desk:
    """Where requests to join wait for their turn: few are worked on at a time, and not many wait."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._present = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Have a turn. Raises Busy when too many wait."""
        if self._present >= _AT_ONCE + _WAITING:
            raise Busy("Too many sites want to join at this moment.", retry_after=5)
        self._present += 1
        try:
            async with self._turns:
                yield
        finally:
            self._present -= 1
