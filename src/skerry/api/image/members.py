"""With whom an image is shared. Source: Image API v2 reference, "Sharing"."""

from aiohttp import web

from skerry.api.access import seen
from skerry.api.bodies import json_answer, no_content, read_json
from skerry.api.context import Site
from skerry.api.image.images import home
from skerry.core import sharing
from skerry.core.caller import Caller
from skerry.core.errors import Forbidden, NotFound
from skerry.core.image import Member
from skerry.core.wire import member_to_wire


async def index(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/images/{image_id}/members."""
    members = await _shown(request, site, caller, "get_members")
    return json_answer(
        {"members": [member_to_wire(member) for member in members], "schema": "/v2/schemas/members"}
    )


async def show(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/images/{image_id}/members/{project_id}: what is not for the caller is not found."""
    try:
        members = await _shown(request, site, caller, "get_member")
    except Forbidden as error:
        raise NotFound(error.message, image=request.match_info["image_id"]) from None
    return json_answer(member_to_wire(_one(request, members)))


async def add(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /v2/images/{image_id}/members."""
    image_id = request.match_info["image_id"]
    project_id = sharing.project_from(await read_json(request, site))
    known = await seen(site, caller, image_id, "add_member")
    sharing.check_may_share(caller, known.image)
    member = await home(site).catalogue.add_member(image_id, project_id, most=site.config.limits.members)
    return json_answer(member_to_wire(member))


async def update(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PUT /v2/images/{image_id}/members/{project_id}: the project accepts, or does not."""
    image_id, project_id = request.match_info["image_id"], request.match_info["project_id"]
    status = sharing.status_from(await read_json(request, site))
    known = await seen(site, caller, image_id)
    sharing.check_shared(known.image)
    _one(request, sharing.shown(caller, known.image, await site.catalogue.members(image_id)))
    sharing.check_may_answer(caller, known.image, project_id)
    await seen(site, caller, image_id, "modify_member")
    member = await home(site).catalogue.set_member_status(image_id, project_id, status)
    return json_answer(member_to_wire(member))


async def remove(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE /v2/images/{image_id}/members/{project_id}."""
    image_id = request.match_info["image_id"]
    known = await seen(site, caller, image_id, "delete_member")
    sharing.check_may_share(caller, known.image)
    await home(site).catalogue.remove_member(image_id, request.match_info["project_id"])
    return no_content()


async def _shown(request: web.Request, site: Site, caller: Caller, rule: str) -> list[Member]:
    known = await seen(site, caller, request.match_info["image_id"], rule)
    sharing.check_shared(known.image)
    return sharing.shown(caller, known.image, await site.catalogue.members(known.image.id))


def _one(request: web.Request, members: list[Member]) -> Member:
    image_id, project_id = request.match_info["image_id"], request.match_info["project_id"]
    for member in members:
        if member.project_id == project_id:
            return member
    raise NotFound(f"{project_id} not found in the member list of the image {image_id}.", image=image_id)
