"""Writes go to the home of the image that they are about.

What is not written here goes to the upstream, as the caller and unchanged. The caller's own credential goes
with it, so the upstream decides; this site's own changes nothing anywhere.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from skerry.api.access import seen
from skerry.api.context import Edge, Site
from skerry.api.visitors import FORWARDED
from skerry.core.caller import Caller
from skerry.core.errors import Conflict, NotFound, UpstreamFailed
from skerry.core.feed.lines import places_from_query, places_to_query
from skerry.upstream.client import read_bounded

Handler = Callable[[web.Request, Site, Caller], Awaitable[web.StreamResponse]]

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade", "host", "content-length", "expect", "server", "date",
     "content-encoding", "accept-encoding"}
)  # fmt: skip

WRITTEN = "Skerry-Written"
"""Where the home's records stand after a write, as a place in the feed."""

REVISION = "Skerry-Revision"
"""The number of the last change of the home's records after a write, for whoever has a replica of them."""

_SEEN = 2.0
"""Seconds that a forwarded write is waited for until it is seen here too."""

_LONGEST_NUMBER = 18
"""Digits of a revision."""

_QUICK = 0.25
"""After this share of the link's timeout an unanswered small write makes us ask whether upstream is there."""


def by_home(site: Site, handler: Handler) -> Handler:
    """What answers a write: `handler` where this site is the home, `forward` where it is not."""
    if site.home is None:
        return forward
    handler = _numbered(handler)
    if site.feed is None:
        return handler
    journal = site.feed.journal

    async def answer(request: web.Request, site: Site, caller: Caller) -> web.StreamResponse:
        image_id = request.match_info.get("image_id")
        home = None if image_id is None else await _home_of(site, image_id)
        if home is not None and image_id is not None:
            return await _elsewhere(request, site, caller, image_id, home)
        response = await handler(request, site, caller)
        response.headers[WRITTEN] = places_to_query({journal.own(): journal.standing(journal.own()).place})
        return response

    return answer


def _numbered(handler: Handler) -> Handler:
    """`handler`, whose answers say how far the records are when it is done."""

    async def answer(request: web.Request, site: Site, caller: Caller) -> web.StreamResponse:
        response = await handler(request, site, caller)
        response.headers[REVISION] = str(site.records.revision)
        return response

    return answer


async def _home_of(site: Site, image_id: str) -> str | None:
    """The other site that is home to an image; None for this site's own, and for what is not known."""
    try:
        return (await site.records.get(image_id)).image.home
    except NotFound:
        return None


async def _elsewhere(
    request: web.Request, site: Site, caller: Caller, image_id: str, home: str
) -> web.StreamResponse:
    """A write on another site's image. Raises Conflict when no way leads there."""
    feed = site.feed
    assert feed is not None
    if site.edge is None or home in feed.family.subtree(feed.family.name):
        await seen(site, caller, image_id)
        raise Conflict(
            f"Image {image_id} is at home at {home}, and only that site changes it.",
            hint=f"Send the request to {home}.",
            image=image_id,
        )
    response = await forward(request, site, caller)
    if response.status < 400 and feed.follower is not None:
        with suppress(ValueError):
            for stream, place in places_from_query(response.headers.get(WRITTEN, "")).items():
                await feed.follower.reached(stream, place, patience=_SEEN)
    return response


async def forward(request: web.Request, site: Site, caller: Caller) -> web.StreamResponse:
    """Pass a write on and answer with upstream's answer. Raises UpstreamAway when it is not there."""
    edge = site.edge
    assert edge is not None
    streaming = request.content_length is None or request.content_length > site.config.limits.body
    patience = site.config.upstream.stall if streaming else site.config.upstream.timeout * _QUICK
    body, as_site = _Body(request), site.feed is not None
    try:
        response = await edge.link.while_alive(
            lambda: _send(request, edge, body, as_site), patience=patience, moved=lambda: body.moved
        )
    except aiohttp.ClientError as error:
        raise UpstreamFailed(f"The upstream site does not speak proper HTTP: {error!r:.300}") from error
    finally:
        edge.catalogue.invalidate(request.match_info.get("image_id"))
    revision = response.headers.get(REVISION, "")
    if response.status < 400 and revision.isascii() and revision.isdecimal():
        await edge.catalogue.reached(int(revision[:_LONGEST_NUMBER]))
    return response


async def _send(request: web.Request, edge: Edge, body: "_Body", as_site: bool) -> web.Response:
    headers = _end_to_end(request.headers)
    if as_site:
        headers[FORWARDED] = "1"
    if request.content_length is not None:
        headers["Content-Length"] = str(request.content_length)
    async with edge.upstream.session.request(
        request.method,
        edge.upstream.url + request.path_qs,
        headers=headers,
        data=body.chunks() if request.body_exists else None,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=edge.upstream.timeout),
        allow_redirects=False,
    ) as answer:
        edge.link.heard()
        text = await read_bounded(answer)
        back = _end_to_end(answer.headers)
        if "Location" in back:
            back["Location"] = urlsplit(back["Location"]).path
        return web.Response(status=answer.status, headers=back, body=text)


class _Body:
    """The request's body, counted as it goes by."""

    def __init__(self, request: web.Request) -> None:
        self.moved = 0
        self._content = request.content

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._content.iter_any():
            self.moved += len(chunk)
            yield chunk


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
