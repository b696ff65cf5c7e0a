"""Where sites below this one find each other: POST /skerry/v1/images/{image_id}/sources."""

from typing import TYPE_CHECKING, Any

from aiohttp import web

from skerry.api.access import readable
from skerry.api.bodies import json_answer, read_json
from skerry.api.context import Site
from skerry.api.site.feed import asking
from skerry.api.visitors import member
from skerry.core.caller import Caller
from skerry.core.errors import InvalidInput
from skerry.core.image import Image
from skerry.core.site import MEMBERS

if TYPE_CHECKING:
    from skerry.api.federation import Federation

_MOST = 16
"""Sites that are named."""


async def meet(request: web.Request, site: Site) -> web.Response:
    """Who else below this site has the image, or is about to: for who says so of itself.

    A site that may not read the image hears of nobody, and nobody of it.
    """
    _, name = asking(request, site)
    image_id = request.match_info["image_id"]
    body: Any = await read_json(request, site)
    index, gives = (body.get("index"), body.get("gives", True)) if isinstance(body, dict) else (None, None)
    if not isinstance(index, str) or len(index) != 64 or not isinstance(gives, bool):
        raise InvalidInput(
            "What is fetched is named by its index.", hint='Send {"index": "…", "gives": true}.'
        )
    if site.placing is not None:
        await site.placing.scopes.refresh()
    image = (await readable(site, Caller(None, None, site=name), image_id)).image
    federation = member(site.federation)
    if not _is_below(federation, name):
        return json_answer({"start": 0.0, "sites": []})
    meeting = federation.meeting
    start = meeting.join(image_id, index, name, site.clock.monotonic(), gives=gives)
    named = [*meeting.others(image_id, index, name), *await _holders(site, image_id)]
    places = [
        {"name": other, "url": federation.sites.get(other).url}
        for other in dict.fromkeys(named)
        if other != name and _may_be_named(site, federation, other, image)
    ]
    return json_answer({"start": start, "sites": places[:_MOST]})


async def _holders(site: Site, image_id: str) -> list[str]:
    """Sites that have reported that they have all of it."""
    return [] if site.placing is None else await site.placing.knowing.holders(image_id)


def _may_be_named(site: Site, federation: "Federation", name: str, image: Image) -> bool:
    return (
        _is_below(federation, name)
        and bool(federation.sites.get(name).url)
        and site.policy.allows("download_image", Caller(None, None, site=name), image)
    )


def _is_below(federation: "Federation", name: str) -> bool:
    """Whether a site hangs directly at this one, and is let in."""
    record = federation.sites.all().get(name)
    return record is not None and record.upstream == federation.name and record.state in MEMBERS
