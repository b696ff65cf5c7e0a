"""The HTTP side of a site: what every request goes through, whatever it asks for.

One wrapper around each handler finds out who is asking, has the handler answer, and turns what went wrong
into an answer. Which wrapper a route gets, and whether an edge passes it on, its table in `routes` says.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from random import getrandbits

from aiohttp import hdrs, web

from skerry.api.bodies import refuse_body
from skerry.api.context import Site
from skerry.api.errors import answer_error, answer_status, status_of
from skerry.api.forward import by_home, forward
from skerry.api.handover import CLOSING
from skerry.api.image import versions
from skerry.api.routes import (
    BETWEEN,
    CENTRAL,
    LOCAL,
    NEWCOMERS,
    OPEN,
    READ,
    WRITE,
    Handler,
    OpenHandler,
)
from skerry.api.traffic import OTHER, Answer
from skerry.api.visitors import connection_of, let_in, visitor
from skerry.core.errors import Forbidden, SkerryError

log = logging.getLogger(__name__)

_REQUEST_ID = "x-openstack-request-id"


def application(site: Site, heard: Callable[[web.Request], None]) -> web.Application:
    """The HTTP side of a site; `heard` is told of each request."""
    app = web.Application(client_max_size=site.config.limits.body)
    app.on_response_prepare.append(name_request)
    closing = app[CLOSING] = asyncio.Event()
    app.on_shutdown.append(_announce(closing))
    counted = partial(site.traffic.counted, heard=heard)
    for path, methods in _routes(site).items():
        for method, answer in methods.items():
            app.router.add_route(method, path, counted(method, path, answer))
        app.router.add_route("*", path, counted(OTHER, path, _refuse_method(", ".join(methods))))
    app.router.add_route(
        "*", "/{path:.*}", counted(OTHER, OTHER, _answer_open(site, _unknown_path, newcomers=False))
    )
    return app


def _routes(site: Site) -> dict[str, dict[str, Answer]]:
    """path -> method -> what answers there."""
    routes: dict[str, dict[str, Answer]] = {}
    for open_table in (OPEN, NEWCOMERS, BETWEEN):
        for path, open_handlers in open_table.items():
            for method, open_handler in open_handlers.items():
                answer = _answer_open(site, open_handler, newcomers=open_table is NEWCOMERS)
                routes.setdefault(path, {})[method] = answer
    for table in (READ, LOCAL, WRITE, CENTRAL):
        for path, handlers in table.items():
            for method, handler in handlers.items():
                right = handler
                if table is WRITE:
                    right = by_home(site, handler)
                elif table is CENTRAL and site.edge is not None:
                    right = forward
                routes.setdefault(path, {})[method] = _answer(site, right, sites=table is READ)
    return routes


def answer_users(site: Site, handler: Handler) -> Answer:
    """Have `handler` answer users alone."""
    return _answer(site, handler, sites=False)


def _answer(site: Site, handler: Handler, *, sites: bool) -> Answer:
    """Have `handler` answer a caller who is known; other sites too, if it is for `sites`."""
    identity = site.identity

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            method = request.method
            caller = visitor(site.federation, request)
            if caller is not None and not sites:
                raise Forbidden(f"Site {caller.site} may read images here, and nothing else.")
            if caller is not None and site.placing is not None:
                await site.placing.scopes.refresh()
            if caller is None:
                caller = identity.known(request.headers)
            if caller is None:
                caller = await identity.identify(request.headers, write=method not in ("GET", "HEAD"))
            if method in ("GET", "DELETE"):
                refuse_body(request)
            return await handler(request, site, caller)
        except Exception as error:
            return _failed(request, site, error)

    return answer


def _answer_open(site: Site, handler: OpenHandler, *, newcomers: bool) -> Answer:
    """Have `handler` answer anybody; at the sites' listener those who are let in there, and `newcomers`.

    A site that was sent away while it waited for its answer does not get it.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            if newcomers:
                return await handler(request, site)
            let_in(site.federation, request)
            response = await handler(request, site)
            let_in(site.federation, request)
            return response
        except Exception as error:
            return _failed(request, site, error)

    return answer


def _failed(request: web.Request, site: Site, error: Exception) -> web.StreamResponse:
    """The answer to a request that failed; half an answer is cut off, lest it be taken for whole."""
    if isinstance(error, ConnectionError):
        raise error
    if not isinstance(error, SkerryError):
        log.error("%s %s failed", request.method, request.path, exc_info=error)
    status = status_of(error) if isinstance(error, SkerryError) else HTTPStatus.INTERNAL_SERVER_ERROR
    if request.writer.output_size > 0:
        log.warning("%s %s was cut off: %s", request.method, request.path, error)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=status)  # which is counted, and sent to nobody
    if isinstance(error, SkerryError):
        answer = answer_error(request, error, challenge=site.identity.challenge)
        if isinstance(error, Forbidden) and connection_of(request) is not None:
            answer.force_close()  # it may come again with a newer certificate
        return answer
    return answer_status(request, status, "The server has met an unexpected error.")


def _refuse_method(allowed: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        status = HTTPStatus.METHOD_NOT_ALLOWED
        return answer_status(
            request,
            status,
            f"The method {request.method} is not allowed for this resource.",
            {hdrs.ALLOW: allowed},
        )

    return answer


async def _unknown_path(request: web.Request, site: Site) -> web.StreamResponse:
    """As Glance: below a version nothing has this name; elsewhere the client is to choose a version."""
    if request.path.startswith(("/v2/", "/skerry/")):
        return answer_status(request, HTTPStatus.NOT_FOUND, "The resource could not be found.")
    return await versions.choices(request, site)


def _announce(closing: asyncio.Event) -> Callable[[web.Application], Awaitable[None]]:
    async def announce(app: web.Application) -> None:
        closing.set()

    return announce


async def name_request(request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the id that logs and support cases quote; one from upstream keeps its own.

    It has the form of a random UUID, and is no secret: uuid4 would be a seventh of a small request.
    """
    if _REQUEST_ID not in response.headers:
        digits = f"{getrandbits(120):030x}"
        response.headers[_REQUEST_ID] = (
            f"req-{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{digits[18:]}"
        )
