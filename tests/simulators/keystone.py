"""A Keystone that gives out and checks tokens over HTTP, and fails as Keystones and lines do."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiohttp import web

from skerry.core.clock import Clock

ACCOUNT = "glance"
PASSWORD = "secret"
LAB = {"id": "lab", "name": "lab", "domain": {"id": "default", "name": "Default"}}


class KeystoneSimulator:
    """Start it with `start`, then change its attributes to make it fail."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.url = ""
        self.there = asyncio.Event()
        """Cleared: requests are swallowed, as by a cut line."""
        self.there.set()
        self.answer: Callable[[], web.Response] | None = None
        """Makes what is answered instead of everything else."""
        self.may_check = True
        self.issued = 0
        self.looked = 0
        self.asked = asyncio.Event()
        """Set by each request that comes in."""
        self._tokens: dict[str, dict[str, Any]] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v3/auth/tokens", self._issue)
        app.router.add_get("/v3/auth/tokens", self._look)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v3"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def token(self, secret: str, *roles: str, user: str = "ann", lifetime: float = 3600, **scope: Any) -> str:
        """Make a token; without a scope it is for the project `lab`."""
        scope = scope or {"project": LAB}
        self._tokens[secret] = {
            "user": {"id": user, "name": user, "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": role, "name": role} for role in roles],
            "expires_at": (self.clock.now() + timedelta(seconds=lifetime)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "methods": ["password"],
            **scope,
        }
        return secret

    def revoke(self, secret: str) -> None:
        del self._tokens[secret]

    def revoke_own(self) -> None:
        """Forget the tokens that were given to the site itself."""
        for secret in [known for known in self._tokens if known.startswith("own-")]:
            self.revoke(secret)

    async def _arrive(self) -> web.Response | None:
        self.asked.set()
        await self.there.wait()
        return self.answer() if self.answer else None

    async def _issue(self, request: web.Request) -> web.Response:
        self.issued += 1
        secret = f"own-{self.issued}"
        auth = (await request.json())["auth"]
        if (answer := await self._arrive()) is not None:
            return answer
        user = auth["identity"]["password"]["user"]
        if (user["name"], user["password"], user["domain"]) != (ACCOUNT, PASSWORD, {"name": "Default"}):
            return _error(401)
        assert auth["scope"]["project"] == {"name": "service", "domain": {"name": "Default"}}
        self.token(secret, "service", "admin", user=ACCOUNT)
        return web.json_response(
            {"token": self._tokens[secret]}, status=201, headers={"X-Subject-Token": secret}
        )

    async def _look(self, request: web.Request) -> web.Response:
        self.looked += 1
        if (answer := await self._arrive()) is not None:
            return answer
        if request.headers.get("X-Auth-Token", "") not in self._tokens:
            return _error(401)
        if not self.may_check:
            return _error(403)
        found = self._tokens.get(request.headers["X-Subject-Token"], {})
        limited = "access_rules" in found.get("application_credential", {})
        if not found or (limited and "OpenStack-Identity-Access-Rules" not in request.headers):
            return _error(404)
        return web.json_response({"token": found})


def _error(status: int) -> web.Response:
    return web.json_response({"error": {"code": status, "title": "", "message": ""}}, status=status)
