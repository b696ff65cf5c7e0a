"""The HTTP side of an aide: a process beside the one that leads its site.

An aide writes nothing. It answers what it can read by itself, sends bytes that the leader hands over, and
passes all else on to the leader. While there is none, because it has died or is being replaced, requests wait
for the next one.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import aiohttp
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from skerry.api import handover
from skerry.api.app import answer_users, name_request
from skerry.api.context import Site
from skerry.api.errors import answer_error, answer_status
from skerry.api.health import health
from skerry.api.image.download import download
from skerry.api.routes import READ
from skerry.api.sendfile import send
from skerry.config import Config
from skerry.core.errors import SkerryError

log = logging.getLogger(__name__)

_PATIENCE = 30.0
"""Seconds that a request waits for a leader."""

_AGAIN = 0.02
"""Seconds between looks whether there is one."""

_SAFE = (hdrs.METH_GET, hdrs.METH_HEAD)
"""Methods that change nothing, so that it does no harm to ask again."""

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "content-length"}
)


class Away(Exception):
    """The leader ended while it had a request; `safe` when it cannot have done anything about it."""

    def __init__(self, *, safe: bool) -> None:
        self.safe = safe


class Leader:
    """The leader of this site as its aides reach it: by a socket in the data folder."""

    def __init__(self, socket: Path) -> None:
        self._reading = _session(socket, anew=False)
        self._changing = _session(socket, anew=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._reading.close()
        await self._changing.close()

    async def is_there(self) -> bool:
        """Whether there is a leader that answers."""
        try:
            async with self._reading.get("http://leader/healthcheck"):
                return True
        except (aiohttp.ClientError, OSError):
            return False

    @asynccontextmanager
    async def asked(
        self, request: web.Request, *, bytes_: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The leader's answer to a request, for `bytes_` with them handed over.

        Raises Away, before the answer begins.
        """
        headers = _end_to_end(request.headers)
        headers.pop(handover.ASKED, None)
        if bytes_:
            headers[handover.ASKED] = "1"
        if request.content_length is not None:
            headers[hdrs.CONTENT_LENGTH] = str(request.content_length)
        safe = request.method in _SAFE
        try:
            answer = await (self._reading if safe else self._changing).request(
                request.method,
                URL(f"http://leader{request.raw_path}", encoded=True),
                headers=headers,
                data=_body(request) if request.body_exists else None,
                allow_redirects=False,
            )
        except aiohttp.ClientConnectorError:
            raise Away(safe=True) from None
        except aiohttp.ClientConnectionError:
            raise Away(safe=safe) from None
        try:
            yield answer
        finally:
            answer.close()


def _session(socket: Path, *, anew: bool) -> aiohttp.ClientSession:
    """With `anew` each request has its own connection: none is sent to a leader that has ended already."""
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(socket), limit=0, force_close=anew),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
        max_line_size=1 << 16,
        max_field_size=1 << 16,
    )


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_any():
        yield chunk


LEADER = web.AppKey("leader", Leader)
CONFIG = web.AppKey("config", Config)


class Retirement:
    """Whether this process has become the leader, so that connections had better come in anew."""

    def __init__(self) -> None:
        self.begun = False

    async def close(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let an answer be the last one of its connection."""
        if self.begun:
            response.headers[hdrs.CONNECTION] = "close"
            response.force_close()


def application(
    config: Config,
    leader: Leader,
    site: Site | None,
    retirement: Retirement,
    heard: Callable[[web.Request], None],
) -> web.Application:
    """The HTTP side of an aide; `heard` is told of each request.

    With `site`, a part of one, it reads records by itself.
    """

    @web.middleware
    async def hear(request: web.Request, handler: Handler) -> web.StreamResponse:
        heard(request)
        return await handler(request)

    app = web.Application(client_max_size=1 << 40, middlewares=[hear])
    app[LEADER], app[CONFIG] = leader, config
    app.on_response_prepare.append(name_request)
    app.on_response_prepare.append(retirement.close)
    for method in ("GET", "HEAD"):
        app.router.add_route(method, "/healthcheck", _health)
    for path, handlers in READ.items():
        for method, handler in handlers.items():
            if handler is download:
                app.router.add_route(method, path, _pass_on_bytes)
            elif site is not None:
                app.router.add_route(method, path, answer_users(site, handler))
    app.router.add_route("*", "/{path:.*}", _pass_on)
    return app


async def _health(request: web.Request) -> web.StreamResponse:
    return await health(request, None)


async def _pass_on(request: web.Request, *, bytes_: bool = False) -> web.StreamResponse:
    """Have the leader answer, the next one if there is none."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            async with request.app[LEADER].asked(request, bytes_=bytes_) as answer:
                if handover.GIVEN in answer.headers:
                    return await _send(request, answer)
                return await _relay(request, answer)
        except Away as away:
            if not away.safe:
                return _unavailable(
                    request, "This site lost the process that did this. Look before you try again."
                )
            if time.monotonic() > until:
                return _unavailable(request, "No process of this site leads it.")
        except SkerryError as error:
            return answer_error(request, error, challenge="")
        await asyncio.sleep(_AGAIN)


async def _pass_on_bytes(request: web.Request) -> web.StreamResponse:
    """As `_pass_on`; the bytes are sent from here."""
    return await _pass_on(request, bytes_=True)


def _unavailable(request: web.Request, why: str) -> web.Response:
    return answer_status(request, HTTPStatus.SERVICE_UNAVAILABLE, why, {hdrs.RETRY_AFTER: "5"})


async def _relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Hand the leader's answer on as it comes; one that breaks off is broken off here."""
    response = _response(answer)
    response.content_length = answer.content_length
    try:
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientError, OSError):
        _break_off(request)
    return response


async def _send(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Send the bytes that the leader has handed over. Raises Away when it is gone before the first."""
    response = _response(answer)
    api = request.app[CONFIG].api
    async with AsyncExitStack() as stack:
        try:
            got = await stack.enter_async_context(handover.received(answer))
        except OSError:
            raise Away(safe=True) from None
        response.content_length = got.count
        try:
            await send(
                request, response, got.delivery, got.offset, got.count,
                least=api.min_rate, window=api.slow_after,
            )  # fmt: skip
        except (SkerryError, OSError) as error:
            log.warning("%s %s was cut off: %s", request.method, request.path, error)
            _break_off(request)
    return response


def _response(answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = _end_to_end(answer.headers)
    headers.pop(handover.GIVEN, None)
    return web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)


def _break_off(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
