"""Users and passwords in an htpasswd file (bcrypt), sent with each request: RFC 7617.

This is what `openstack --os-auth-type http_basic` speaks.
"""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import bcrypt

from skerry.config import IdentitySection
from skerry.core.caller import Caller
from skerry.core.errors import ConfigError, NotAuthenticated
from skerry.identity.flights import Flights
from skerry.identity.policy import Policy
from skerry.identity.seen import Seen
from skerry.identity.watched import Watched

_MOST_SEEN = 10_000
_AT_ONCE = 2
_LONGEST = 72
"""bcrypt looks at this many bytes of a password; htpasswd cuts longer ones silently, and so do we."""


@dataclass(frozen=True, slots=True)
class _File:
    """One state of the file: digests by user, and the headers that were found right under it."""

    digests: Mapping[str, bytes]
    seen: Seen[Caller] = field(default_factory=lambda: Seen(_MOST_SEEN))


class HttpBasic:
    """Each user is a project of the same name; users named in `admins` have the role admin.

    A change of the file takes effect with the next request. Raises ConfigError when the file cannot be used.
    """

    challenge = 'Basic realm="skerry", charset="UTF-8"'

    def __init__(self, section: IdentitySection, policy: Policy) -> None:
        self._admins = frozenset(section.admins)
        self._policy = policy
        self._file = Watched(Path(section.htpasswd), self._parse)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._checks: Flights[Caller] = Flights()

    def known(self, headers: Mapping[str, str]) -> Caller | None:
        """The caller, if this very header was found right before and the file has not changed since."""
        file = self._file.get()
        return file.seen.get(file.seen.key(headers.get("Authorization", "")))

    async def identify(self, headers: Mapping[str, str], *, write: bool) -> Caller:
        """The caller. Raises NotAuthenticated.

        Digests are computed on worker threads, few at a time, and once for requests with the same header.
        """
        if (caller := self.known(headers)) is not None:
            return caller
        file = self._file.get()
        header = headers.get("Authorization", "")
        key = file.seen.key(header)
        user, password = _credentials(header)
        return await self._checks.join(key, lambda: self._check(file, key, user, password))

    async def close(self) -> None:
        """Give up checks that are under way."""
        await self._checks.close()

    async def _check(self, file: _File, key: bytes, user: str, password: str) -> Caller:
        async with self._turns:
            if not await asyncio.to_thread(_right, file.digests, user, password):
                raise NotAuthenticated("User or password is wrong.")
        caller = self._caller(user)
        file.seen.put(key, caller)
        return caller

    def _caller(self, user: str) -> Caller:
        roles = {"member", "reader"} | ({"admin"} if user in self._admins else set())
        caller = Caller(user_id=user, project_id=user, roles=frozenset(roles))
        return replace(caller, is_admin=self._policy.is_admin(caller))

    def _parse(self, text: str) -> _File:
        digests: dict[str, bytes] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            user, _, digest = line.strip().partition(":")
            if not user or not digest.startswith(("$2a$", "$2b$", "$2y$")) or len(digest) != 60:
                raise ConfigError(
                    f"[identity] htpasswd: line {number} is not `user:` and a bcrypt digest.",
                    hint="Make lines with: htpasswd -nB USER",
                )
            digests[user] = digest.encode()
        for user in sorted(self._admins - digests.keys()):
            raise ConfigError(
                f"[identity] admins: there is no user {user!r} in the htpasswd file.",
                hint="Add the user there, or correct the name.",
            )
        return _File(digests)


def _credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthenticated(
            "Send a user and a password.", hint="For example: openstack --os-auth-type http_basic"
        )
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise NotAuthenticated("The Authorization header cannot be read.") from None
    user, _, password = text.partition(":")
    return user, password


def _right(digests: Mapping[str, bytes], user: str, password: str) -> bool:
    """Whether the password is the user's. Takes as long for a user that does not exist."""
    digest = digests.get(user) or next(iter(digests.values()), None)
    try:
        matches = digest is not None and bcrypt.checkpw(password.encode()[:_LONGEST], digest)
    except ValueError:  # a NUL byte in the password, or a digest with an impossible cost
        return False
    return matches and user in digests
