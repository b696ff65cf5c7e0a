"""This site's own credential, for its requests to other services."""

import base64
from collections.abc import Mapping
from typing import Protocol

from skerry.core.clock import Clock
from skerry.core.errors import IdentityAway
from skerry.identity.flights import Flights
from skerry.identity.keystone_api import Token

_RENEW_BEFORE = 120.0
"""A token with fewer seconds left is replaced before it is used."""


class Credential(Protocol):
    """What proves who this site is."""

    async def headers(self) -> dict[str, str]:
        """The headers to send along with a request, good for a while yet.

        Raises IdentityAway when they cannot be had now, and its kind AccountRefused.
        """
        ...

    async def refresh(self, refused: Mapping[str, str]) -> dict[str, str]:
        """New headers, after a 401 to a request with the headers `refused`.

        Callers at the same time share one renewal.
        """
        ...

    async def close(self) -> None:
        """Give back what is held."""
        ...


class FixedCredential:
    """Headers that never change: none at all, or a user and a password (RFC 7617)."""

    def __init__(self, headers: Mapping[str, str] = {}) -> None:
        self._headers = headers

    @classmethod
    def basic(cls, username: str, password: str) -> "FixedCredential":
        """A user and a password."""
        encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
        return cls({"Authorization": f"Basic {encoded}"})

    async def headers(self) -> dict[str, str]:
        """The headers."""
        return dict(self._headers)

    async def refresh(self, refused: Mapping[str, str]) -> dict[str, str]:
        """The same: there are no others."""
        return dict(self._headers)

    async def close(self) -> None:
        """Nothing is held."""


class Issuer(Protocol):
    """What gives out tokens of this site's account: one Keystone, or the first of several that answers."""

    def ready(self) -> None:
        """Raise IdentityAway when `issue` would fail at once."""
        ...

    async def issue(self) -> Token:
        """A new token. Raises IdentityAway."""
        ...

    async def close(self) -> None:
        """Give back what is held."""
        ...


class KeystoneCredential:
    """A token of this site's account, replaced before it expires. Closes `api` when closed."""

    def __init__(self, api: Issuer, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._token: Token | None = None
        self._renewals: Flights[Token] = Flights()

    async def headers(self) -> dict[str, str]:
        """A token with some life left; one about to expire when Keystone gives no other."""
        token = self._token
        left = token.expires_at - self._clock.now().timestamp() if token else 0.0
        if token is None or left < _RENEW_BEFORE:
            try:
                self._api.ready()
                token = await self._renewals.join("token", self._renew)
            except IdentityAway:
                if token is None or left <= 0:
                    raise
        return {"X-Auth-Token": token.secret}

    async def refresh(self, refused: Mapping[str, str]) -> dict[str, str]:
        """A token other than the refused one."""
        if self._token is not None and self._token.secret == refused.get("X-Auth-Token"):
            self._token = None
        return await self.headers()

    async def close(self) -> None:
        """Give up a renewal that is under way, and close the connections."""
        await self._renewals.close()
        await self._api.close()

    async def _renew(self) -> Token:
        self._token = await self._api.issue()
        return self._token
