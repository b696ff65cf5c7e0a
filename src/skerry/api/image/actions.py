"""Taking an image out of use, and back. Source: Image API v2 reference, "Image actions"."""

from aiohttp import web

from skerry.api.access import seen
from skerry.api.bodies import no_content, refuse_body
from skerry.api.context import Site
from skerry.api.image.images import home
from skerry.core import actions
from skerry.core.caller import Caller


async def deactivate(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /v2/images/{image_id}/actions/deactivate."""
    refuse_body(request)
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id, "deactivate")
    await home(site).catalogue.change(image_id, actions.deactivate)
    return no_content()


async def reactivate(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /v2/images/{image_id}/actions/reactivate."""
    refuse_body(request)
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id, "reactivate")
    await home(site).catalogue.change(image_id, actions.reactivate)
    return no_content()
