"""Bytes that sites below send up: /skerry/v1/copies/{image_id}, in the shape of resumable uploads."""

from aiohttp import web

from skerry.api.context import Feed, Site
from skerry.api.image.upload import chunks
from skerry.api.site.feed import asking
from skerry.api.site.uploads import mismatch, offset_of, standing
from skerry.core.errors import NotFound, UnsupportedMedia, WrongOffset
from skerry.transfer.sending import MEDIA_TYPE


async def show(request: web.Request, site: Site) -> web.Response:
    """HEAD: how far the deposit of an image is."""
    feed, image_id = await _deposit(request, site)
    return standing(await feed.deposits.progress(image_id), site)


async def append(request: web.Request, site: Site) -> web.Response:
    """PATCH: go on at Upload-Offset."""
    feed, image_id = await _deposit(request, site)
    if request.content_type != MEDIA_TYPE:
        raise UnsupportedMedia(f"The content type has to be {MEDIA_TYPE}, not {request.content_type}.")
    offset = offset_of(request)
    try:
        progress = await feed.deposits.append(image_id, offset, chunks(request))
    except WrongOffset as error:
        return mismatch(error, offset)
    return standing(progress, site)


async def _deposit(request: web.Request, site: Site) -> tuple[Feed, str]:
    """An image that the asking site, or one below it, is home to. Raises NotFound for any other."""
    feed, name = asking(request, site)
    image_id = request.match_info["image_id"]
    home = (await site.records.get(image_id)).image.home
    if home is None or home not in feed.family.subtree(name):
        raise NotFound(f"Image {image_id} is not one of {name}'s.", image=image_id)
    return feed, image_id
