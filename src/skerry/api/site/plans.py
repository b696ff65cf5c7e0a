"""How an image would come to this site: GET /skerry/v1/images/{image_id}/plan."""

from typing import Any

from aiohttp import web

from skerry.api.access import readable
from skerry.api.bodies import json_answer
from skerry.api.context import Site
from skerry.core.caller import Caller
from skerry.core.fetch_plan import By, FetchPlan
from skerry.transfer.planning import Planner


async def show(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """What would come from where. Brings the index of the image at most."""
    image = (await readable(site, caller, request.match_info["image_id"])).image
    if site.edge is None:
        return json_answer(shown(FetchPlan(image.id, image.name, image.size or 0, By.NOTHING, "")))
    planner = Planner(
        site.store,
        site.copies,
        site.records,
        site.edge.upstream,
        site.chunks,
        site.edge.cache.siblings,
        site.config.upstream.stall,
    )
    return json_answer(shown(await planner.plan(image)))


def shown(plan: FetchPlan) -> dict[str, Any]:
    """The plan as it is sent."""
    return {
        "image_id": plan.image_id,
        "name": plan.name,
        "size": plan.size,
        "by": plan.by.value,
        "reason": plan.reason or None,
        "reused": [{"image_id": one.image_id, "name": one.name, "bytes": one.size} for one in plan.reused],
        "done": plan.done,
        "missing": plan.missing,
        "holes": plan.holes,
        "sources": {one.name: one.size for one in plan.sources},
        "rate": None if plan.rate is None else round(plan.rate),
        "seconds": None if plan.seconds is None else round(plan.seconds, 1),
    }
