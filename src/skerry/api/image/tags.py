"""Tags, one at a time. Source: Image API v2 reference, "Image tags"."""

from functools import partial

from aiohttp import web

from skerry.api.access import seen
from skerry.api.bodies import no_content, refuse_body
from skerry.api.context import Site
from skerry.api.image.images import bounds, home
from skerry.core import actions
from skerry.core.caller import Caller


async def add(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PUT /v2/images/{image_id}/tags/{tag}."""
    refuse_body(request)
    image_id, tag = request.match_info["image_id"], request.match_info["tag"]
    await seen(site, caller, image_id, "modify_image")
    await home(site).catalogue.change(image_id, partial(actions.add_tag, tag=tag, bounds=bounds(site.config)))
    return no_content()


async def remove(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE /v2/images/{image_id}/tags/{tag}."""
    image_id, tag = request.match_info["image_id"], request.match_info["tag"]
    await seen(site, caller, image_id, "modify_image")
    await home(site).catalogue.change(image_id, partial(actions.remove_tag, tag=tag))
    return no_content()
