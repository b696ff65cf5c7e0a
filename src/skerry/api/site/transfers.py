"""Images on their way to this site: /skerry/v1/transfers."""

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from skerry.api.bodies import json_answer, no_content
from skerry.api.context import Site
from skerry.core.caller import Caller
from skerry.core.copy import Copy
from skerry.core.errors import NotFound
from skerry.core.wire import time_to_wire
from skerry.transfer.cache import Cache
from skerry.transfer.fetch import Fetch


async def index(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/transfers: what comes now, and what is queued, in that order."""
    site.policy.check("cache_list", caller)
    cache = _cache(site)
    fetches = {fetch.image.id: fetch for fetch in cache.fetches()}
    coming = sorted(
        cache.coming(), key=lambda copy: (copy.image_id not in fetches, copy.since, copy.image_id)
    )
    return json_answer({"transfers": [_shown(copy, fetches.get(copy.image_id), cache) for copy in coming]})


async def pause(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /skerry/v1/transfers/{image_id}/pause: fetch it no more, but for a client that asks for it."""
    return await _set(request, site, caller, paused=True)


async def resume(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /skerry/v1/transfers/{image_id}/resume: end that."""
    return await _set(request, site, caller, paused=False)


async def cancel(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE /skerry/v1/transfers/{image_id}: drop what there is of it; a placement may bring it again."""
    site.policy.check("skerry:transfers_write", caller)
    cache, image_id = _cache(site), request.match_info["image_id"]
    if all(copy.image_id != image_id for copy in cache.coming()):
        raise NotFound(f"Image {image_id} is not on its way.", image=image_id)
    await cache.remove(image_id)
    return no_content()


async def _set(request: web.Request, site: Site, caller: Caller, *, paused: bool) -> web.Response:
    site.policy.check("skerry:transfers_write", caller)
    await _cache(site).pause(request.match_info["image_id"], paused=paused)
    return no_content()


def _shown(copy: Copy, fetch: Fetch | None, cache: Cache) -> dict[str, Any]:
    retry_at, error = cache.next_try(copy.image_id)
    state = "transferring" if fetch else "paused" if copy.paused else "queued"
    return {
        "image_id": copy.image_id,
        "state": state,
        "done": fetch.done if fetch else copy.durable,
        "total": copy.size,
        "rate": fetch.rate_now if fetch else 0,
        "waited_for": cache.is_busy(copy.image_id),
        "placement": copy.mirrored_by or None,
        "since": _moment(fetch.began if fetch else copy.since),
        "next_attempt": None if retry_at is None else _moment(retry_at),
        "reason": error or None,
    }


def _moment(seconds: float) -> str:
    return time_to_wire(datetime.fromtimestamp(seconds, UTC))


def _cache(site: Site) -> Cache:
    if site.edge is None:
        raise NotFound("Nothing is brought to a centre.", hint="Ask an edge.")
    return site.edge.cache
