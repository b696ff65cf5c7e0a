"""Glance's cache API, at a site that has a cache. Source: Image API v2 reference, "Cache Manage"."""

from typing import Any

from aiohttp import web

from skerry.api.access import seen
from skerry.api.bodies import json_answer, no_content
from skerry.api.context import Site
from skerry.core.caller import Caller
from skerry.core.copy import Copy
from skerry.core.errors import Conflict, InvalidInput, NotFound
from skerry.core.image import Status
from skerry.transfer.cache import Cache


async def index(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/cache."""
    cache = _cache(site, caller, "cache_list")
    copies = [_to_wire(copy) for copy in cache.cached()]
    return json_answer({"cached_images": copies, "queued_images": cache.queued()})


async def queue(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PUT /v2/cache/{image_id}."""
    known = await seen(site, caller, request.match_info["image_id"], "cache_image")
    cache = _cache(site, caller, "cache_image")
    if known.image.status is not Status.ACTIVE:
        raise InvalidInput("Only images with status active can be targeted for queueing")
    await cache.queue(known.image.id)
    return web.Response(status=202)


async def delete(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE /v2/cache/{image_id}; nothing to do for an image that exists and is not cached."""
    cache = _cache(site, caller, "cache_delete")
    image_id = request.match_info["image_id"]
    try:
        await cache.delete(image_id)
    except NotFound:
        await seen(site, caller, image_id)
    return no_content()


async def clear(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE /v2/cache."""
    cache = _cache(site, caller, "cache_delete")
    target = request.headers.get("x-image-cache-clear-target", "").lower()
    if target not in ("", "cache", "queue"):
        raise InvalidInput(
            "If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string."
        )
    await cache.clear(cached=target != "queue", queued=target != "cache")
    return no_content()


async def clean(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /v2/cache/clean: remove copies of images that are no more."""
    await _cache(site, caller, "cache_clean").sweep()
    return web.Response()


async def prune(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /v2/cache/prune: come back to the cache's limit."""
    cache = _cache(site, caller, "cache_prune")
    sizes = {copy.image_id: copy.size or 0 for copy in cache.cached()}
    pruned = await cache.prune(cache.room.limit)
    freed = sum(sizes.get(image_id, 0) for image_id in pruned)
    return json_answer({"total_files_pruned": len(pruned), "total_bytes_pruned": freed})


async def nodes(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/cache/nodes/{image_id}: each site knows its own cache only, which Glance says with 409."""
    _cache(site, caller, "list_cached_nodes")
    raise Conflict("Centralized caching is not enabled")


def _cache(site: Site, caller: Caller, rule: str) -> Cache:
    site.policy.check(rule, caller)
    if site.edge is None:
        raise NotFound("Caching via API is not supported at this site.")
    return site.edge.cache


def _to_wire(copy: Copy) -> dict[str, Any]:
    return {
        "image_id": copy.image_id,
        "hits": copy.hits,
        "size": copy.size,
        "last_accessed": copy.last_used,
        "last_modified": copy.since,
    }
