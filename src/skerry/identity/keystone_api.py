"""Keystone's Identity API v3, as far as a service needs it: get a token, look into a caller's token.

No request waits for a server that is known to be away: a probe in the background finds out when it is back.

Plain aiohttp on one small connection pool: each call has one deadline for all of it and can be cancelled,
which keystoneauth1 (blocking, on threads, 7 MB more) does not give. Source: Identity API v3 reference,
"Authentication and token management".
"""

import asyncio
import logging
import random
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import aiohttp
import msgspec

from skerry.config import KeystoneSection
from skerry.core.caller import Caller
from skerry.core.errors import AccountRefused, ConfigError, IdentityAway, NotAuthenticated

_log = logging.getLogger(__name__)
_AT_ONCE = 16
_MOST_BYTES = 1 << 20
_REMEDY = "Correct [keystone] username and password, or the application credential."
_RETRY_AFTER = 5.0
"""Seconds after which a client may try again what failed for want of Keystone."""
_FIRST_PROBE = 0.5
_SLOWEST_PROBE = 15.0
_ACCESS_RULES = {"OpenStack-Identity-Access-Rules": "1.0"}
"""Without it Keystone calls a token with access rules unknown."""


class _Id(msgspec.Struct):
    id: str


class _InDomain(msgspec.Struct):
    id: str
    domain: _Id


class _Role(msgspec.Struct):
    name: str


class _ApplicationCredential(msgspec.Struct):
    access_rules: list[Any] | None = None


class _Body(msgspec.Struct):
    user: _InDomain
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]
    project: _InDomain | None = None
    domain: _Id | None = None
    system: dict[str, bool] = {}
    roles: list[_Role] = []
    application_credential: _ApplicationCredential | None = None


class _Answer(msgspec.Struct):
    token: _Body


class _Code(msgspec.Struct):
    code: int


class _Error(msgspec.Struct):
    error: _Code


_answer = msgspec.json.Decoder(_Answer)
_error = msgspec.json.Decoder(_Error)


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the end of its life, in seconds since the epoch."""

    secret: str
    expires_at: float


class OwnTokenRefused(IdentityAway):
    """Keystone does not take this site's own token; a new one may do."""


class KeystoneApi:
    """One Keystone, asked with the account of `section`. Raises ConfigError when `cafile` cannot be used.

    After a failure it counts as away: every call fails at once, until a probe in the background succeeds.
    """

    def __init__(self, section: KeystoneSection, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/v3") + "/v3"
        self._section = section
        self._tls = _tls(section.cafile)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self.away = False
        """Whether it failed, and no probe has succeeded since."""
        self.slow = False
        """Whether a call has waited for a quarter of `timeout`, and nothing was heard since."""
        self._complaint = ""
        self._prober: asyncio.Task[None] | None = None

    def ready(self) -> None:
        """Raise IdentityAway when a call would fail at once: for those who would share another's call."""
        if self.away and asyncio.current_task() is not self._prober:
            raise self._error()

    async def issue(self) -> Token:
        """A new token of this site's account. Raises IdentityAway, AccountRefused among them."""
        status, secret, body = await self._call("POST", json={"auth": self._account()})
        if status == 201 and secret:
            return Token(secret, self._decode(body).expires_at.timestamp())
        if status in (401, 403):
            failed = self._failed(f"refuses this site's account (HTTP {status})")
            raise AccountRefused(failed.message, hint=_REMEDY, retry_after=failed.retry_after)
        raise self._failed(f"gives this site no token (HTTP {status})")

    async def look(self, own: dict[str, str], subject: str) -> Caller | None:
        """Whose token `subject` is, asking with the headers `own`; None when unknown, expired or revoked.

        `is_admin` is left False. Raises OwnTokenRefused when `own` is not good any more, IdentityAway, and
        NotAuthenticated for a token with access rules.
        """
        headers = {**own, **_ACCESS_RULES, "X-Subject-Token": subject}
        status, _, body = await self._call("GET", headers=headers)
        if status == 200:
            if not self.away:
                self._complaint = ""
            return _caller(self._decode(body))
        if status in (400, 404) and _is_error(body):
            return None
        if status == 401:
            raise OwnTokenRefused(
                f"Keystone at {self.url} refuses this site's token.", retry_after=_RETRY_AFTER
            )
        if status == 403:  # it is there, so there is nothing to probe for
            raise self._complain(
                "lets this site's account check no tokens (HTTP 403); give it the role service or admin"
            )
        raise self._failed(f"does not check tokens (HTTP {status})")

    async def close(self) -> None:
        """Stop probing, and close the connections."""
        if self._prober is not None:
            self._prober.cancel()
            with suppress(asyncio.CancelledError):
                await self._prober
        if self._session is not None:
            await self._session.close()

    async def _call(self, method: str, **request: Any) -> tuple[int, str, bytes]:
        """One request on /auth/tokens: status, X-Subject-Token, body. Waits for a turn, then `timeout`."""
        async with self._turns:
            self.ready()
            doubt = asyncio.get_running_loop().call_later(self._section.timeout / 4, self._suspect)
            try:
                async with self._connections().request(
                    method, f"{self.url}/auth/tokens?nocatalog", allow_redirects=False, **request
                ) as answer:
                    body = await self._bounded(answer.content)
            except TimeoutError:
                raise self._failed(f"does not answer within {self._section.timeout:g} s") from None
            except (aiohttp.ClientError, OSError) as error:
                raise self._failed(f"cannot be reached ({error or type(error).__name__})") from None
            finally:
                doubt.cancel()
        self.slow = False
        return answer.status, answer.headers.get("X-Subject-Token", ""), body

    def _suspect(self) -> None:
        self.slow = True

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_AT_ONCE, ssl=self._tls),
                timeout=aiohttp.ClientTimeout(total=self._section.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _bounded(self, stream: aiohttp.StreamReader) -> bytes:
        body = bytearray()
        async for chunk in stream.iter_any():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise self._failed(f"answers with more than {_MOST_BYTES} bytes")
        return bytes(body)

    def _decode(self, body: bytes) -> _Body:
        try:
            return _answer.decode(body).token
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._failed(f"answers with something that is not a token ({error})") from None

    def _failed(self, reason: str) -> IdentityAway:
        """It is of no use now; the probe takes it from here."""
        self.away = True
        if self._prober is None or self._prober.done():
            self._prober = asyncio.create_task(self._probe_until_back(), name="probe-keystone")
        return self._complain(reason)

    def _complain(self, reason: str) -> IdentityAway:
        if reason != self._complaint:
            _log.warning("Keystone at %s %s", self.url, reason)
        self._complaint = reason
        return self._error()

    def _error(self) -> IdentityAway:
        return IdentityAway(f"Keystone at {self.url} {self._complaint}.", retry_after=_RETRY_AFTER)

    async def _probe_until_back(self) -> None:
        """Try what callers need, a token and a look at one, until both work."""
        pause = _FIRST_PROBE
        while self.away:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _SLOWEST_PROBE)
            with suppress(IdentityAway):
                token = (await self.issue()).secret
                with suppress(NotAuthenticated):
                    await self.look({"X-Auth-Token": token}, token)
                _log.info("Keystone at %s answers again", self.url)
                self.away, self._complaint = False, ""

    def _account(self) -> dict[str, Any]:
        section = self._section
        if section.application_credential_id:
            credential = {
                "id": section.application_credential_id,
                "secret": section.application_credential_secret,
            }
            return {"identity": {"methods": ["application_credential"], "application_credential": credential}}
        user = {
            "name": section.username,
            "domain": {"name": section.user_domain_name},
            "password": section.password,
        }
        project = {"name": section.project_name, "domain": {"name": section.project_domain_name}}
        return {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": project},
        }


def _tls(cafile: str) -> ssl.SSLContext | bool:
    if not cafile:
        return True
    try:
        return ssl.create_default_context(cafile=cafile)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"[keystone] cafile: {cafile} cannot be used: {error}.",
            hint="Name a file of certificates in PEM.",
        ) from None


def _is_error(body: bytes) -> bool:
    """Whether Keystone itself says so, and not something on the way to it."""
    try:
        _error.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


def _caller(body: _Body) -> Caller:
    if body.application_credential is not None and body.application_credential.access_rules is not None:
        raise NotAuthenticated(
            "This token is of an application credential with access rules, which are not looked at here.",
            hint="Use an application credential without access rules.",
        )
    project = body.project
    return Caller(
        user_id=body.user.id,
        user_domain_id=body.user.domain.id,
        project_id=project.id if project else None,
        project_domain_id=project.domain.id if project else None,
        domain_id=body.domain.id if body.domain else None,
        system_scope="all" if body.system.get("all") else None,
        roles=frozenset(role.name.lower() for role in body.roles),
        expires_at=body.expires_at.timestamp(),
    )
