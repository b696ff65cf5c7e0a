"""This site among others: who comes in at the sites' listener, and who may come in from now on."""

import asyncio
import logging
import ssl
from weakref import WeakKeyDictionary

from aiohttp import web

from skerry.catalog.sites import Sites
from skerry.core import enrolment
from skerry.core.caller import Caller
from skerry.core.clock import Clock
from skerry.core.enrolment import Answer, Request, decode_answer, encode_answer, encode_request
from skerry.core.errors import Conflict, Forbidden, SkerryError, UpstreamFailed
from skerry.core.signing import SigningKey
from skerry.identity.enrolling import ask
from skerry.identity.membership import Membership, Upstream
from skerry.identity.tls import Peer, peer_of

log = logging.getLogger(__name__)

FORWARDED = "Skerry-Forwarded"
"""Says that a request is a user's, passed on by a site, where users have no credential to tell it by."""

_CREDENTIALS = ("X-Auth-Token", "Authorization", FORWARDED)
_PATIENCE = 60.0
"""Seconds between two attempts at what the upstream has not granted."""


class Federation:
    """What a site has that belongs to others. `url` is where it listens to them, once it does."""

    def __init__(self, membership: Membership, sites: Sites, clock: Clock) -> None:
        self.membership = membership
        self.sites = sites
        self.url = ""
        self._clock = clock
        self._peers: WeakKeyDictionary[ssl.SSLObject, Peer] = WeakKeyDictionary()
        self._one_change = asyncio.Lock()
        self._not_before = 0.0

    @property
    def is_centre(self) -> bool:
        """Whether this site says who belongs to it."""
        return self.membership.upstream is None

    # Who comes in

    def visitor(self, request: web.Request) -> Caller | None:
        """The site that makes a request of its own; None for a request that is a user's.

        Whoever comes in at the sites' listener has to be a site, also one that passes on what a user wants.
        Raises Forbidden.
        """
        connection = _connection(request)
        if connection is None:
            return None
        name = self.admit(connection)
        if any(header in request.headers for header in _CREDENTIALS):
            return None
        return Caller(user_id=None, project_id=None, site=name)

    def admit(self, connection: ssl.SSLObject) -> str:
        """The site at the other end. Raises Forbidden when it is not let in, at this moment."""
        peer = self.peer(connection)
        if peer is None:
            raise Forbidden(
                "Sites are served here, and show a certificate.", hint="Users are served at the site's API."
            )
        if self._clock.now().timestamp() >= peer.expires:
            raise Forbidden(f"The certificate of site {peer.name} has expired.")
        self.sites.check(peer.name, peer.key if self.membership.folder.issued else None)
        return peer.name

    def peer(self, connection: ssl.SSLObject) -> Peer | None:
        """Who is at the other end, let in or not."""
        known = self._peers.get(connection)
        if known is None and (known := peer_of(connection)) is not None:
            self._peers[connection] = known
        return known

    # Who may come in

    async def grant(self, body: bytes, connection: ssl.SSLObject | None) -> bytes:
        """The centre's answer to a request to join, or for a new key. Raises InvalidInput, Forbidden, Conflict.

        Where the operator issues certificates, one for the site has to be shown, here or to a site in between.
        """
        request = enrolment.decode_request(body)
        if not self.membership.folder.issued:
            peer = self.peer(connection) if connection is not None else None
            if connection is None or peer is None or peer.name != request.site:
                self._check_in_between(connection)
        if request.site == self.membership.name:
            raise Forbidden(f"{request.site} is the centre.")
        record = await self.sites.admit(request)
        upstream = self.sites.get(record.upstream or self.membership.name)
        answer = Answer(
            request.site,
            request.key,
            upstream.name,
            upstream.url or (self.url if upstream.name == self.membership.name else ""),
            self._certify(request),
            self.membership.name,
            self.sites.keys(self.membership.name),
        )
        return encode_answer(answer, self.membership.key)

    def _check_in_between(self, connection: ssl.SSLObject | None) -> None:
        if connection is None:
            raise Forbidden("A certificate of this site is needed.", hint="Ask at the [sites] url.")
        self.admit(connection)

    def _certify(self, request: Request) -> str:
        authority = self.membership.authority
        return authority.issue(request.site, request.key, self._clock.now()) if authority else ""

    # This site's own key and place

    async def rotate(self) -> None:
        """Take a new key. Raises what the upstream has against it; then this is tried again by itself."""
        async with self._one_change:
            await self._renew(await asyncio.to_thread(self.membership.next_key))

    async def be_reached_at(self, url: str) -> None:
        """Say where this site listens."""
        self.url = self.membership.folder.url or url
        if self.is_centre:
            await self.sites.be_centre(self.membership.key.public, self.url)

    async def tend(self) -> None:
        """Ask for what is due: a certificate, a key that was to be changed, a URL that others do not know."""
        if self._clock.monotonic() < self._not_before:
            return
        self._move()
        async with self._one_change:
            if not (self.membership.due(self._clock.now()) or self._is_elsewhere()):
                return
            try:
                await self._renew(await asyncio.to_thread(self._wanted_key))
            except SkerryError as error:
                self._not_before = self._clock.monotonic() + _PATIENCE
                log.warning("this site's key or certificate could not be renewed yet: %s", error)

    def _wanted_key(self) -> SigningKey:
        pending = self.membership.folder.next.exists()
        return self.membership.next_key() if pending else self.membership.key

    def _is_elsewhere(self) -> bool:
        own = self.sites.all().get(self.membership.name)
        return own is not None and bool(self.url) and own.url != self.url

    def _move(self) -> None:
        """Follow another upstream, if the centre has given this site one that can be reached."""
        sites, upstream = self.sites.all(), self.membership.upstream
        own = sites.get(self.membership.name)
        if upstream is None or own is None or own.upstream in (None, upstream.name):
            return
        above = sites.get(str(own.upstream))
        if above is not None and above.url:
            log.warning("the upstream of this site is %s from now on, at %s", above.name, above.url)
            self.membership.follow(Upstream(above.name, above.url))

    async def _renew(self, key: SigningKey) -> None:
        own = self.membership
        request = Request(own.name, key.public, own.key.public, self.url)
        if own.upstream is None:
            await self.sites.admit(request)
            certificate = self._certify(request)
        else:
            body = encode_request(request, own.key, key)
            said = await ask(own.upstream.url, own.anonymous_context(), body)
            try:
                certificate = decode_answer(said, request, self.sites.keys(own.centre)).certificate
            except ValueError as error:
                raise UpstreamFailed(f"The answer of {own.upstream.url} cannot be used: {error}.") from None
        await asyncio.to_thread(own.take, key, certificate)
        log.info("this site has a new certificate")


def federation(of: "Federation | None") -> Federation:
    """The part of a site that belongs to others. Raises Conflict for a site that belongs to none."""
    if of is None:
        raise Conflict(
            "This site belongs to no others.",
            hint="A centre has [sites] listen; a site joins with: skerry join URL TOKEN",
        )
    return of


def _connection(request: web.Request) -> ssl.SSLObject | None:
    """The TLS connection that a request came by; there is none at the API's listener."""
    transport = request.transport
    found = transport.get_extra_info("ssl_object") if transport is not None else None
    return found if isinstance(found, ssl.SSLObject) else None
