"""The bytes of an image, whole or a range of them.

Source: Image API v2 reference, "Download binary image data".
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import hdrs, web

from skerry.api.access import readable
from skerry.api.bodies import freshness
from skerry.api.context import Site
from skerry.api.handover import hand_over, is_asked_for
from skerry.api.sendfile import send
from skerry.core.caller import Caller
from skerry.core.copy import Copy, CopyState
from skerry.core.errors import Busy
from skerry.core.image import Image
from skerry.core.ranges import requested
from skerry.transfer.cache import check_right
from skerry.transfer.delivery import Delivery


async def download(request: web.Request, site: Site, caller: Caller) -> web.StreamResponse:
    """GET and HEAD /v2/images/{image_id}/file. At an edge the first one fetches the image."""
    known = await readable(site, caller, request.match_info["image_id"])
    image = known.image
    assert image.size is not None
    span = requested(
        request.headers.get(hdrs.RANGE), image.size, content_range=request.headers.get(hdrs.CONTENT_RANGE)
    )
    response = web.StreamResponse(headers=_headers(image) | freshness(known.stale))
    offset, count = span or (0, image.size)
    if span:
        response.set_status(206)
        response.headers[hdrs.CONTENT_RANGE] = f"bytes {offset}-{offset + count - 1}/{image.size}"
    elif image.checksum:
        response.headers["Content-MD5"] = image.checksum
    response.content_length = count
    if request.method == hdrs.METH_HEAD:
        await response.prepare(request)
        return response
    async with _delivery(site, image, offset) as delivery:
        if is_asked_for(request):
            await hand_over(request, response, delivery, offset, count)
            return response
        await response.prepare(request)
        await send(
            request,
            response,
            delivery,
            offset,
            count,
            least=site.config.api.min_rate,
            window=site.config.api.slow_after,
        )
    return response


@asynccontextmanager
async def _delivery(site: Site, image: Image, offset: int) -> AsyncIterator[Delivery]:
    """The bytes from `offset` on, wherever this kind of site has them."""
    if site.edge is not None:
        async with site.edge.cache.reading(image, offset) as delivery:
            yield delivery
        return
    copy = site.copies.get(image.id)
    check_right(copy)
    if image.home is not None and not _here(copy):
        raise Busy(f"The bytes of image {image.id} have not come from {image.home} yet.", retry_after=30)
    delivery = Delivery.whole(site.store.path(image.id))
    try:
        yield delivery
    finally:
        delivery.close()


def _here(copy: Copy | None) -> bool:
    return copy is not None and copy.state is CopyState.COMPLETE


def _headers(image: Image) -> dict[str, str]:
    headers: dict[str, str] = {hdrs.CONTENT_TYPE: "application/octet-stream", hdrs.ACCEPT_RANGES: "bytes"}
    if image.os_hash_value:
        headers[hdrs.ETAG] = f'"{image.os_hash_value}"'
    return headers
