"""What this site has, does, and knows of its upstream."""

from datetime import datetime
from typing import Any

from aiohttp import web

from skerry import __version__
from skerry.api.bodies import json_answer
from skerry.api.context import Edge, Feed, Site
from skerry.core.caller import Caller
from skerry.core.feed.journal import Standing
from skerry.core.wire import time_to_wire
from skerry.transfer.fetch import Fetch
from skerry.upstream.replicated import ReplicatedCatalogue


async def show(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/status."""
    site.policy.check("cache_list", caller)
    return json_answer(
        {
            "site": site.config.site.name,
            "version": __version__,
            "started_at": time_to_wire(site.started_at),
            "images": len(await site.records.ids()),
            "upstream": _upstream(site.edge) if site.edge else None,
            "cache": _cache(site.edge) if site.edge else None,
            "feed": _feed(site.feed, site) if site.feed else None,
            "transfers": [_transfer(fetch) for fetch in site.edge.cache.fetches()] if site.edge else [],
        }
    )


def _upstream(edge: Edge) -> dict[str, Any]:
    line = edge.link.status
    return {
        "url": edge.upstream.url,
        "state": line.state,
        "since": time_to_wire(line.since),
        "reason": line.reason,
        "next_probe": line.next_probe and time_to_wire(line.next_probe),
        "replica": _replica(edge.catalogue) if isinstance(edge.catalogue, ReplicatedCatalogue) else None,
    }


def _replica(catalogue: ReplicatedCatalogue) -> dict[str, Any]:
    return {
        "complete": catalogue.complete,
        "as_of": catalogue.as_of and time_to_wire(catalogue.as_of),
        "reason": catalogue.trouble,
    }


def _feed(feed: Feed, site: Site) -> dict[str, Any]:
    """How the records of other sites come here, and those of this part of the tree go up."""
    now = site.clock.now()
    contact = feed.follower.contact if feed.follower else None
    return {
        "heard_at": contact and contact.heard_at and time_to_wire(contact.heard_at),
        "reason": contact.trouble if contact else "",
        "sending": feed.follower.sending if feed.follower else "",
        "refused_above": {str(stream): why for stream, why in feed.follower.refused.items()}
        if feed.follower
        else {},
        "waiting": feed.source.waiting,
        "streams": [_stream(feed.journal.standing(stream), now) for stream in feed.journal.streams()],
    }


def _stream(standing: Standing, now: datetime) -> dict[str, Any]:
    return {
        "stream": str(standing.stream),
        "epoch": standing.epoch,
        "revision": standing.revision,
        "as_of": standing.as_of and time_to_wire(standing.as_of),
        "trouble": standing.judged(now),
        "reason": standing.reason,
    }


def _cache(edge: Edge) -> dict[str, Any]:
    cached = edge.cache.cached()
    return {
        "limit": int(edge.cache.room.limit),
        "used": edge.cache.room.used,
        "images": len(cached),
        "pinned": sum(copy.pinned for copy in cached),
        "queued": len(edge.cache.queued()),
    }


def _transfer(fetch: Fetch) -> dict[str, Any]:
    return {
        "image_id": fetch.image.id,
        "done": fetch.done,
        "total": fetch.size,
        "rate": fetch.rate_now,
        "since": round(fetch.began, 3),
    }
