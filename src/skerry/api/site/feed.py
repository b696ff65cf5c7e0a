"""The feed for the sites below: what they follow, and what they send up. Source: `core.feed.lines`."""

import asyncio
from dataclasses import replace

from aiohttp import web

from skerry.api.bodies import json_answer
from skerry.api.context import Feed, Site
from skerry.core.errors import Forbidden, InvalidInput, NotFound, TooLarge, TooSlow
from skerry.core.feed import lines

_SENT = 48 << 20
"""Bytes of a body, at most: what a follower sends at once, with its texts escaped."""

_TIME = 60.0
"""Seconds that it may take."""

_WAIT = 30.0


async def follow(request: web.Request, site: Site) -> web.Response:
    """GET /skerry/v1/feed: the next pages for who stands at `after`; waits `wait` seconds for them."""
    feed, name = asking(request, site)
    try:
        places = lines.places_from_query(request.query.get("after", ""))
        but = lines.streams_from_query(request.query.get("but", ""))
        wait = max(0.0, float(request.query.get("wait", _WAIT)))
    except ValueError as error:
        raise InvalidInput(f"A place in the feed makes no sense: {error}.") from None
    pages = await feed.source.give(name, places, but=but, wait=wait)
    return web.Response(body=b"".join(pages), content_type=lines.CONTENT_TYPE)


async def send(request: web.Request, site: Site) -> web.Response:
    """POST /skerry/v1/feed: take what a part of the tree has written, and say what is lacking."""
    feed, name = asking(request, site)
    body = await _read(request)
    try:
        pages = list(lines.decode(body.splitlines()))
    except ValueError as error:
        raise InvalidInput(f"The feed makes no sense: {error}.") from None
    receipt = await feed.source.receive(name, pages)
    wants = await feed.deposits.wanted(feed.family.subtree(name))
    return json_answer(replace(receipt, wants=wants).to_wire())


def asking(request: web.Request, site: Site) -> tuple[Feed, str]:
    """The feed and who asks for it. Raises Forbidden unless a site does."""
    if site.feed is None:
        raise NotFound("This site stands alone: it has no feed.")
    name = site.feed.peer(request)
    if name is None:
        raise Forbidden("The feed is for sites that have joined.")
    return site.feed, name


async def _read(request: web.Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_TIME):
            async for part in request.content.iter_any():
                body += part
                if len(body) > _SENT:
                    raise TooLarge(f"The body is larger than {_SENT} bytes.")
    except TimeoutError:
        raise TooSlow("The body of the request did not arrive in time.") from None
    return bytes(body)
