"""Resumable uploads: /skerry/v1/images/{image_id}/upload.

Source: the IETF draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload). Every queued image
has an upload resource, so none is created: a client asks where the upload stands (HEAD), goes on from there
(PATCH, as often as it takes), or gives it up (DELETE).
"""

import re

import msgspec
from aiohttp import web

from skerry.api.access import seen
from skerry.api.bodies import no_content
from skerry.api.context import Site
from skerry.api.image.images import home
from skerry.api.image.upload import chunks
from skerry.core.caller import Caller
from skerry.core.errors import InvalidInput, UnsupportedMedia, WrongOffset
from skerry.transfer.uploads import Progress

_TYPE = "application/partial-upload"
_TRUE, _FALSE = "?1", "?0"
_MISMATCH = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"


async def show(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """HEAD: how far the upload is."""
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id, "upload_image")
    return standing(await home(site).uploads.progress(image_id), site)


async def append(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PATCH: go on at Upload-Offset; with `Upload-Complete: ?1` the image ends with this body."""
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id, "upload_image")
    if request.content_type != _TYPE:
        raise UnsupportedMedia(f"The content type has to be {_TYPE}, not {request.content_type}.")
    offset, complete = offset_of(request), _complete(request)
    try:
        progress = await home(site).uploads.append(
            image_id, offset, chunks(request), complete=complete, length=request.content_length
        )
    except WrongOffset as error:
        return mismatch(error, offset)
    return standing(progress, site)


async def cancel(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE: give the upload up; the image stays queued."""
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id, "upload_image")
    await home(site).uploads.cancel(image_id)
    return no_content()


def offset_of(request: web.Request) -> int:
    """Where a sender goes on. Raises InvalidInput."""
    text = request.headers.get("Upload-Offset", "")
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise InvalidInput("Upload-Offset has to be a number of bytes.")
    return int(text)


def _complete(request: web.Request) -> bool:
    text = request.headers.get("Upload-Complete", "")
    if text not in (_TRUE, _FALSE):
        raise InvalidInput(f"Upload-Complete has to be {_TRUE} or {_FALSE}.")
    return text == _TRUE


def standing(progress: Progress, site: Site) -> web.Response:
    """The answer that says where an upload stands."""
    headers = {
        "Upload-Offset": str(progress.offset),
        "Upload-Complete": _TRUE if progress.complete else _FALSE,
        "Upload-Limit": f"max-size={site.config.limits.image_size}",
        "Cache-Control": "no-store",
    }
    return web.Response(status=204, headers=headers)


def mismatch(error: WrongOffset, offset: int) -> web.Response:
    """The draft's problem document (RFC 9457), which says where to go on."""
    document = {
        "type": _MISMATCH,
        "title": error.message,
        "expected-offset": error.offset,
        "provided-offset": offset,
    }
    return web.Response(
        status=409,
        body=msgspec.json.encode(document),
        content_type="application/problem+json",
        headers={"Upload-Offset": str(error.offset), "Upload-Complete": _FALSE},
    )
