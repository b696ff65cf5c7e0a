"""This site's own key, certificate and place among others, kept as they ought to be."""

import asyncio
import logging

from skerry.api.federation import Federation
from skerry.core.clock import Clock
from skerry.core.enrolment import Request, decode_answer, encode_request
from skerry.core.errors import SkerryError, UpstreamFailed
from skerry.core.signing import SigningKey
from skerry.identity.enrolling import ask
from skerry.identity.membership import Upstream

log = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds between two attempts at what the upstream has not granted."""


class Renewal:
    """Asks the centre for what this site needs, which at the centre is itself. One request at a time.

    A new key is durable before anybody hears of it and in use once its certificate is here, so what a crash
    interrupts goes on by itself: the centre answers the same request in the same way.
    """

    def __init__(self, federation: Federation, clock: Clock) -> None:
        self._federation = federation
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._not_before = 0.0

    async def rotate(self) -> None:
        """Take a new key. Raises what stands against it; then it is tried again by `tend`."""
        async with self._one_at_a_time:
            await self._renew(await asyncio.to_thread(self._federation.membership.next_key))

    async def tend(self) -> None:
        """See to what is due: a certificate, a key that was to be taken, another URL or upstream."""
        await self._move()
        if self._clock.monotonic() < self._not_before:
            return
        async with self._one_at_a_time:
            own = self._federation.membership
            if not (own.due(self._clock.now()) or self._is_elsewhere()):
                return
            try:
                await self._renew(await asyncio.to_thread(own.wanted_key))
            except SkerryError as error:
                self._not_before = self._clock.monotonic() + _PATIENCE
                log.warning("this site's key or certificate could not be renewed yet: %s", error)

    async def _renew(self, key: SigningKey) -> None:
        federation, own = self._federation, self._federation.membership
        request = Request(own.name, key.public, own.key.public, federation.url)
        if own.upstream is None:
            await federation.sites.admit(request)
            certificate = federation.certify(request)
        else:
            body = encode_request(request, own.key, key)
            said = await ask(own.upstream.url, own.asking_context(), body)
            try:
                certificate = decode_answer(said, request, federation.sites.keys(own.centre)).certificate
            except ValueError as error:
                raise UpstreamFailed(f"The answer of {own.upstream.url} cannot be used: {error}.") from None
        await asyncio.to_thread(own.take, key, certificate)
        log.info("the key of this site is %s, certified anew", key.public)

    def _is_elsewhere(self) -> bool:
        """Whether others know another URL of this site than the one it has."""
        known = self._federation.sites.all().get(self._federation.name)
        return known is not None and bool(self._federation.url) and known.url != self._federation.url

    async def _move(self) -> None:
        """Follow another upstream, once the centre has given this site one that can be reached."""
        own, sites = self._federation.membership, self._federation.sites.all()
        known = sites.get(own.name)
        if own.upstream is None or known is None or known.upstream in (None, own.upstream.name):
            return
        above = sites.get(str(known.upstream))
        if above is not None and above.url:
            log.warning("the upstream of this site is %s from now on, at %s", above.name, above.url)
            await asyncio.to_thread(own.follow, Upstream(above.name, above.url))
