"""What Glance's cache API has no words for: partial copies, pins, making room."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from skerry.api.bodies import json_answer, no_content, read_json
from skerry.api.context import Edge, Site
from skerry.core.caller import Caller
from skerry.core.errors import InvalidInput, NotFound


async def listing(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/cache: every copy, in whatever state."""
    _edge(site, caller, "cache_list")
    return json_answer({"copies": [asdict(copy) for copy in site.copies.all() if copy.cached]})


async def pin(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PUT /skerry/v1/cache/{image_id}/pin: never evict it; fetch it when it is not here."""
    await _edge(site, caller, "cache_image").cache.pin(request.match_info["image_id"], pinned=True)
    return no_content()


async def unpin(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE /skerry/v1/cache/{image_id}/pin."""
    await _edge(site, caller, "cache_image").cache.pin(request.match_info["image_id"], pinned=False)
    return no_content()


async def prune(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /skerry/v1/cache/prune {"to": BYTES}: evict the least recently used until no more are taken."""
    edge = _edge(site, caller, "cache_delete")
    body: Any = await read_json(request, site)
    to = body.get("to") if isinstance(body, dict) else None
    if not isinstance(to, int) or isinstance(to, bool) or to < 0:
        raise InvalidInput('The body must be {"to": BYTES}.')
    return json_answer({"evicted": await edge.cache.prune(to)})


def _edge(site: Site, caller: Caller, rule: str) -> Edge:
    site.policy.check(rule, caller)
    if site.edge is None:
        raise NotFound("This site has no cache: it has no upstream.")
    return site.edge
