"""Bytes of an image on their way in. Source: Image API v2 reference, "Image data"."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp
from aiohttp import web

from skerry.api.access import seen
from skerry.api.bodies import no_content
from skerry.api.context import Site
from skerry.api.errors import answer_status
from skerry.api.image.images import home
from skerry.core.caller import Caller
from skerry.core.errors import BrokenOff, Gone, InvalidInput, NotFound, UnsupportedMedia

_TYPE = "application/octet-stream"


async def upload(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PUT /v2/images/{image_id}/file."""
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id, "upload_image")
    length = _length(request)
    try:
        await home(site).uploads.receive(image_id, chunks(request), length)
    except Gone as error:
        return answer_status(request, HTTPStatus.GONE, error.message)
    return no_content()


async def stage(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PUT /v2/images/{image_id}/stage."""
    if "glance-direct" not in site.config.imports.methods:
        raise NotFound("'glance-direct' method is not available at this site.")
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id, "modify_image")
    length = _length(request)
    try:
        await home(site).uploads.stage(image_id, chunks(request), length)
    except Gone as error:
        return answer_status(request, HTTPStatus.GONE, error.message)
    return no_content()


async def chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises BrokenOff when the client goes away before its end."""
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, ConnectionError, web.RequestPayloadError) as error:
        raise BrokenOff("The body of the request broke off.") from error


def _length(request: web.Request) -> int | None:
    """How many bytes the client says that it sends. Raises UnsupportedMedia for another type."""
    if request.content_type != _TYPE:
        raise UnsupportedMedia(f"The content type has to be {_TYPE}, not {request.content_type}.")
    said = request.headers.get("x-openstack-image-size")
    if said is None:
        return request.content_length
    if not said.isascii() or not said.isdecimal():
        raise InvalidInput("Invalid or missing image size in request headers.")
    if request.content_length is not None and request.content_length != int(said):
        raise InvalidInput(
            f"x-openstack-image-size says {said} bytes, Content-Length {request.content_length}."
        )
    return int(said)
