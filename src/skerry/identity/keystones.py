"""The Keystones of a site, in the order in which they are asked. The first that answers decides."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from skerry.config import KeystoneSection
from skerry.core.caller import Caller
from skerry.core.clock import Clock
from skerry.core.errors import AccountRefused, IdentityAway
from skerry.identity.credential import KeystoneCredential
from skerry.identity.keystone_api import KeystoneApi, OwnTokenRefused, Token

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Server:
    """One Keystone, and a token of this site's account that is its own."""

    api: KeystoneApi
    own: KeystoneCredential

    async def issue(self) -> Token:
        return await self.api.issue()

    async def look(self, token: str) -> Caller | None:
        """Ask, with a new token of our own if the one we have is refused."""
        own = await self.own.headers()
        try:
            return await self.api.look(own, token)
        except OwnTokenRefused:
            return await self.api.look(await self.own.refresh(own), token)


class Keystones:
    """`[keystone] auth_url` and `fallback_auth_url`. Raises ConfigError as KeystoneApi does.

    Its errors are those of KeystoneApi; IdentityAway means that none answers, and says why for each.
    """

    def __init__(self, section: KeystoneSection, clock: Clock) -> None:
        apis = [KeystoneApi(section, url) for url in (section.auth_url, section.fallback_auth_url) if url]
        self._servers = [_Server(api, KeystoneCredential(api, clock)) for api in apis]
        self.url = apis[0].url
        """Where callers get their tokens."""

    @property
    def prompt(self) -> bool:
        """Whether the one that would be asked now is thought to answer soon."""
        return next((not server.api.slow for server in self._servers if not server.api.away), False)

    def ready(self) -> None:
        """Raise IdentityAway when a call would fail at once: for those who would share another's call."""
        errors = []
        for server in self._servers:
            try:
                return server.api.ready()
            except IdentityAway as error:
                errors.append(error)
        raise _none_of(errors)

    async def look(self, token: str) -> Caller | None:
        """Whose token this is; None when it is unknown, expired or revoked. `is_admin` is left False."""
        return await self._first(lambda server: server.look(token))

    async def issue(self) -> Token:
        """A new token of this site's account."""
        return await self._first(_Server.issue)

    async def close(self) -> None:
        """Close the connections."""
        for server in self._servers:
            await server.own.close()

    async def _first(self, ask: Callable[[_Server], Awaitable[T]]) -> T:
        errors = []
        for server in self._servers:
            try:
                return await ask(server)
            except IdentityAway as error:
                errors.append(error)
        raise _none_of(errors)


def _none_of(errors: list[IdentityAway]) -> IdentityAway:
    """One error for those of all servers."""
    refused = all(isinstance(error, AccountRefused) for error in errors)
    message = ", ".join(error.message.removesuffix(".") for error in errors)
    return (AccountRefused if refused else IdentityAway)(
        f"{message}.", hint=errors[0].hint, retry_after=errors[0].retry_after
    )
