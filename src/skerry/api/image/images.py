"""Records: create, list, show, patch, delete. Source: Image API v2 reference, "Images"."""

import secrets
import uuid
from urllib.parse import urlencode

import msgspec
from aiohttp import hdrs, web

from skerry.api.access import seen
from skerry.api.bodies import freshness, if_none_match, json_answer, no_content, read_json
from skerry.api.context import Home, Site
from skerry.api.image.encoded import encoded
from skerry.config import Config
from skerry.core import actions, patch
from skerry.core.attributes import Bounds
from skerry.core.caller import Caller
from skerry.core.creation import new_image
from skerry.core.query import parse
from skerry.core.rights import needs_membership, scope

_PROCESS = secrets.token_hex(4)
"""Part of every list's ETag: a revision means nothing to another process, which may have another database."""


def bounds(config: Config) -> Bounds:
    """How much an image may carry at a site."""
    return Bounds(
        properties=config.limits.properties,
        tags=config.limits.tags,
        disk_formats=config.formats.disk,
        container_formats=config.formats.container,
    )


def home(site: Site) -> Home:
    """The part of the site that takes writes; the route table sends them here at a home only."""
    assert site.home is not None
    return site.home


async def create(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /v2/images."""
    image = new_image(
        await read_json(request, site),
        owner=caller.project_id,
        new_id=str(uuid.uuid4()),
        now=site.clock.now(),
        bounds=bounds(site.config),
    )
    site.policy.check_new(caller, image)
    image = await home(site).catalogue.create(image)
    headers: dict[str, str] = {hdrs.LOCATION: f"/v2/images/{image.id}"}
    if site.config.imports.methods:
        headers["OpenStack-image-import-methods"] = ",".join(site.config.imports.methods)
    return json_answer(encoded(image), status=201, headers=headers)


async def index(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/images."""
    site.policy.check("get_images", caller)
    limits = site.config.limits
    query = parse(request.query, default_limit=limits.page_default, most=limits.page)
    stale = await site.catalogue.freshen(query, scope(caller))
    headers = freshness(stale) | {hdrs.ETAG: f'"{_PROCESS}-{site.records.state}"'}
    if if_none_match(request, headers[hdrs.ETAG]):
        return web.Response(status=304, headers=headers)
    page = await site.catalogue.page(query, scope(caller))
    allowed = [
        encoded(image)
        for image in page.images
        if site.policy.allows("get_image", caller, image, member=needs_membership(caller, image))
    ]
    links = _links(request, page.next_marker)
    return json_answer(b'{"images":[%b],%b}' % (b",".join(allowed), links), headers=headers)


async def show(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/images/{image_id}."""
    known = await seen(site, caller, request.match_info["image_id"])
    return json_answer(encoded(known.image), headers=freshness(known.stale))


async def update(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PATCH /v2/images/{image_id}."""
    image_id = request.match_info["image_id"]
    limits = bounds(site.config)
    patch.check_media_type(request.content_type)
    changes = patch.parse(request.content_type, await read_json(request, site), limits)
    image = (await seen(site, caller, image_id, "modify_image" if changes else "get_image")).image
    for change in changes:
        if change.name == "visibility" and change.operation != "remove":
            site.policy.check_visibility(caller, image, change.value)
    image = await home(site).catalogue.change(
        image_id, lambda image: patch.apply(image, changes, as_admin=caller.is_admin, bounds=limits)
    )
    return json_answer(encoded(image))


async def delete(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE /v2/images/{image_id}: the record at once, the bytes after it."""
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id, "delete_image")
    await home(site).uploads.delete(image_id, actions.delete)
    return no_content()


def _links(request: web.Request, next_marker: str | None) -> bytes:
    """The members of a page beside its images: this query from its start, and from the next image on."""
    params = [(name, value) for name, value in request.query.items() if name != "marker"]
    links = {"schema": "/v2/schemas/images", "first": _link(params)}
    if next_marker is not None:
        links["next"] = _link([*params, ("marker", next_marker)])
    return msgspec.json.encode(links)[1:-1]


def _link(params: list[tuple[str, str]]) -> str:
    return f"/v2/images?{urlencode(params)}" if params else "/v2/images"
