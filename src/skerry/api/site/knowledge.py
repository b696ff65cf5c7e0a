"""Of any image at any site: is it there, is it fresh, why, and what happens next."""

from typing import Any

from aiohttp import web

from skerry.api.bodies import json_answer, read_json
from skerry.api.context import Site
from skerry.api.placing import placing, reconciler, wanted
from skerry.api.visitors import member
from skerry.core.caller import Caller
from skerry.core.errors import InvalidInput
from skerry.core.placement.explain import Evicted
from skerry.core.placement.knowledge import Sync
from skerry.core.placement.wire import to_wire

_EVICTED = "the last copy gave its room to others"


async def copies(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/copies?site=&image=&state=: what is known of copies."""
    site.policy.check("skerry:copies_read", caller)
    try:
        states = [Sync(state) for state in request.query.getall("state", [])]
    except ValueError as error:
        raise InvalidInput(f"{error}.", hint=f"States are {', '.join(Sync)}.") from None
    found = await placing(site).knowing.copies(
        site=wanted(request, "site"), image=wanted(request, "image"), states=states
    )
    return json_answer({"copies": to_wire(found)})


async def explain(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/explain/{image_id}/{name}: why an image is at a site or not."""
    site.policy.check("skerry:copies_read", caller)
    image_id, name = request.match_info["image_id"], request.match_info["name"]
    sites = member(site.federation).sites.all()
    above = sites[name].upstream if name in sites else None
    gone = site.edge.cache.room.evicted.get(image_id) if site.edge and name == site.config.site.name else None
    known, facts = await placing(site).knowing.explain(
        image_id, name, above=above, evicted=None if gone is None else Evicted(gone, _EVICTED)
    )
    return json_answer({**to_wire(known), "facts": to_wire(facts)})


async def preflight(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/sites/{name}/preflight: whether a site can be cut off."""
    site.policy.check("skerry:copies_read", caller)
    return json_answer(to_wire(await placing(site).knowing.preflight(request.match_info["name"])))


async def plan(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/plan: what this site does about its placements, cannot do, and has wait for a person."""
    site.policy.check("skerry:copies_read", caller)
    return json_answer(to_wire(reconciler(site).plan))


async def approve(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /skerry/v1/plan/approve: let the deletions go ahead whose hold has this `digest`."""
    site.policy.check("skerry:placements_write", caller)
    body: Any = await read_json(request, site)
    digest = body.get("digest") if isinstance(body, dict) else None
    if not isinstance(digest, str):
        raise InvalidInput(
            "digest is missing.", hint="Send the digest of the hold that `GET /skerry/v1/plan` shows."
        )
    reconciler(site).approve(digest)
    return json_answer({"approved": digest})
