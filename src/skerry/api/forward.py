"""Writing at a site that is home to nothing: the request goes to the upstream, as the caller and unchanged.

The caller's own credential goes with it, so the upstream decides; this site's own changes nothing anywhere.
"""

from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from skerry.api.context import Edge, Site
from skerry.core.caller import Caller
from skerry.core.errors import UpstreamFailed
from skerry.upstream.client import read_bounded

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade", "host", "content-length", "expect", "server", "date",
     "content-encoding", "accept-encoding"}
)  # fmt: skip

_QUICK = 0.25
"""After this share of the link's timeout an unanswered small write makes us ask whether upstream is there."""


async def forward(request: web.Request, site: Site, caller: Caller) -> web.StreamResponse:
    """Pass a write on and answer with upstream's answer. Raises UpstreamAway when it is not there."""
    edge = site.edge
    assert edge is not None
    streaming = request.content_length is None or request.content_length > site.config.limits.body
    patience = site.config.upstream.stall if streaming else site.config.upstream.timeout * _QUICK
    body = _Body(request)
    try:
        response = await edge.link.while_alive(
            lambda: _send(request, edge, body), patience=patience, moved=lambda: body.moved
        )
    except aiohttp.ClientError as error:
        raise UpstreamFailed(f"The upstream site does not speak proper HTTP: {error!r:.300}") from error
    finally:
        edge.catalogue.invalidate(request.match_info.get("image_id"))
    return response


async def _send(request: web.Request, edge: Edge, body: "_Body") -> web.Response:
    headers = _end_to_end(request.headers)
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
