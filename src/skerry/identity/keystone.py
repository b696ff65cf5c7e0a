"""Callers with tokens of Keystone, also while Keystone is away.

A checked token is believed for `[keystone] cache`. After that Keystone is asked again; when none answers, the
old check is good for reading until the token's own expiry, also over a restart of the site.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from skerry.config import KeystoneSection
from skerry.core.caller import Caller
from skerry.core.clock import Clock
from skerry.core.errors import IdentityAway, NotAuthenticated
from skerry.identity.flights import Flights
from skerry.identity.keystones import Keystones
from skerry.identity.policy import Policy
from skerry.identity.remembered import Remembered

_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}\Z")


class Keystone:
    """`X-Auth-Token`, checked with Keystone. Nothing else that a client sends about itself is believed."""

    def __init__(
        self, section: KeystoneSection, policy: Policy, clock: Clock, data: Path, *, saves: bool = True
    ) -> None:
        self._keystones = Keystones(section, clock)
        self._policy = policy
        self._patience = section.timeout / 4
        self._remembered = Remembered(data, policy, clock, section.cache, saves=saves)
        self._checks: Flights[Caller] = Flights()
        self.challenge = f'Keystone uri="{self._keystones.url}"'

    def known(self, headers: Mapping[str, str]) -> Caller | None:
        """The caller, if Keystone knew the token not longer than `cache` ago."""
        return self._remembered.fresh(self._remembered.key(headers.get("X-Auth-Token", "")))

    async def identify(self, headers: Mapping[str, str], *, write: bool) -> Caller:
        """The caller; Keystone is asked unless it was lately.

        Requests with the same token share one check, which goes on when they are cancelled. Who can be
        answered from an old check does not wait for a Keystone that is away, and not long for one that is
        slow: the check goes on in the background.
        """
        token = headers.get("X-Auth-Token", "")
        if not _TOKEN.match(token):
            raise NotAuthenticated("Send a token of Keystone in X-Auth-Token.")
        if (caller := self.known(headers)) is not None:
            return caller
        key = self._remembered.key(token)
        old = None if write else self._remembered.old(key)
        try:
            self._keystones.ready()
            check = self._checks.start(key, lambda: self._check(key, token))
            if old is not None:
                await asyncio.wait({check}, timeout=self._patience if self._keystones.prompt else 0)
                if not check.done():
                    return old
            return await asyncio.shield(check)
        except IdentityAway as error:
            if old is not None:
                return old
            why = (
                "writing needs a fresh check of the token"
                if write
                else "this token was not checked before or has expired"
            )
            raise IdentityAway(f"{error.message[:-1]}, and {why}.", retry_after=error.retry_after) from None

    async def close(self) -> None:
        """Give up checks that are under way, close the connections, and keep what is remembered."""
        await self._checks.close()
        await self._keystones.close()
        await self._remembered.close()

    async def _check(self, key: bytes, token: str) -> Caller:
        caller = await self._keystones.look(token)
        if caller is None:
            await self._remembered.drop(key)
            raise NotAuthenticated("Keystone does not know this token: it is wrong, expired or revoked.")
        caller = replace(caller, is_admin=self._policy.is_admin(caller))
        self._remembered.put(key, caller)
        return caller
