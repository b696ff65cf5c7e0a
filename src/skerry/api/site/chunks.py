"""Images as chunks, for other sites: /skerry/v1/images/{image_id}/index, …/chunks and …/packs.

Who may have the bytes of an image may have its chunks, also of one that is still on its way here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress

from aiohttp import hdrs, web

from skerry.api.access import readable
from skerry.api.context import Site
from skerry.core.caller import Caller
from skerry.core.errors import NotFound, TooSlow
from skerry.core.image import Image
from skerry.stores.beside import Kind
from skerry.transfer.chunks import Growing
from skerry.upstream.client import INDEX_TYPE, LIKE, PACKS_TYPE

_PIECE = 256 << 10

_BEGINNING = 10.0
"""Seconds that an image has to begin to come here; then its bytes have to do without an index."""


class _Patience:
    """How long a reader may keep us waiting: `window` seconds for each `least * window` bytes."""

    def __init__(self, least: float, window: float) -> None:
        self._window = self._left = window
        self._quota = least * window
        self._taken = 0

    async def wait(self, until: Awaitable[object], count: int) -> None:
        """Wait until `count` bytes are taken. Raises TooSlow."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left):
                await until
        except TimeoutError:
            raise TooSlow(f"The reader took fewer than {self._quota:.0f} bytes in time.") from None
        self._left -= loop.time() - began
        self._taken += count
        if self._taken >= self._quota:
            self._left, self._taken = self._window, 0


async def index(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET …/index: the file of the index; with `?like=NAME` shortened for who has the index NAME.

    With `?begin=no` an image that is not here does not begin to come.
    """
    image_id = request.match_info["image_id"]
    known = await readable(site, caller, image_id)
    name, like = site.chunks.name_of(image_id), request.query.get("like", "")
    begin = request.query.get("begin") != "no"
    coming = None if name is not None else await _coming(site, known.image, begin=begin)
    if coming is not None:
        name = coming.name
    if name is None:
        raise NotFound(f"Image {image_id} has no index here.", image=image_id)
    headers: dict[str, str] = {hdrs.ETAG: f'"{name}"', hdrs.CONTENT_TYPE: INDEX_TYPE}
    known_by = None if coming is None else coming.index
    body, shortened = await asyncio.to_thread(_file, site, image_id, known_by, like)
    if shortened:
        headers[LIKE] = like
    return web.Response(body=body, headers=headers)


async def _coming(site: Site, image: Image, *, begin: bool) -> Growing | None:
    """The image on its way here; with `begin` it begins if it has not, so that it comes once for all."""
    if site.edge is None:
        return None
    if not begin:
        return site.chunks.growing.get(image.id)
    with suppress(TimeoutError):
        async with asyncio.timeout(_BEGINNING):
            await site.edge.cache.begin(image)
    return site.chunks.growing.get(image.id)


def _file(site: Site, image_id: str, coming: bytes | None, like: str) -> tuple[bytes, bool]:
    """The bytes to send, and whether they are shortened."""
    data = coming or site.chunks.store.beside.get(Kind.INDEX, image_id)
    known = next((copy.image_id for copy in site.copies.all() if copy.index == like), None) if like else None
    if known is None:
        return data, False
    from skerry.chunking.index_wire import shorten  # slow to import, and not needed to start

    return shorten(data, site.chunks.store.beside.get(Kind.INDEX, known)), True


async def presence(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET …/chunks: which of its chunks are here, see `chunking.presence`.

    With `?want=OFFSET` those come first, if the image is on its way, that have this byte of the file.
    """
    from skerry.chunking.presence import encode_part, encode_whole

    image_id = request.match_info["image_id"]
    await readable(site, caller, image_id)
    if _is_sibling(site, caller):
        site.egress.check()
    if (name := site.chunks.name_of(image_id)) is not None:
        body = encode_whole(name)
    elif (growing := site.chunks.growing.get(image_id)) is not None:
        if (wanted := request.query.get("want", "")).isdecimal():
            growing.want(int(wanted))
        body = encode_part(growing.name, growing.stored, growing.coming)
    else:
        raise NotFound(f"No chunks of image {image_id} are here.", image=image_id)
    return web.Response(body=body, content_type="application/vnd.skerry.chunks")


async def packs(request: web.Request, site: Site, caller: Caller) -> web.StreamResponse:
    """POST …/packs: the chunks that an order names, see `chunking.pack_stream`."""
    from skerry.chunking.pack_stream import decode_order

    image_id = request.match_info["image_id"]
    await readable(site, caller, image_id)
    async with asyncio.timeout(site.config.api.slow_after):
        order = decode_order(await request.read())
    patience = _Patience(site.config.api.min_rate, site.config.api.slow_after)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: PACKS_TYPE})
    async with _lending(site, caller, image_id) as passed, site.chunks.maker.packs(image_id, order) as pieces:
        await response.prepare(request)
        async for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                part = piece[start : start + _PIECE]
                await patience.wait(response.write(part), len(part))
                await passed(len(part))
    return response


@asynccontextmanager
async def _lending(
    site: Site, caller: Caller, image_id: str
) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Gives what is told of bytes that were sent, and returns when more may be.

    Somebody below who waits for an image here goes before what is queued; a sibling does not.
    Raises NotFound and Busy for a sibling that gets nothing here, or not now.
    """

    async def passed(count: int) -> None:
        if near:
            await site.egress.passed(count)

    near = _is_sibling(site, caller)
    with nullcontext() if near or site.edge is None else site.edge.cache.lending(image_id):
        async with site.egress.order() if near else nullcontext():
            yield passed


def _is_sibling(site: Site, caller: Caller) -> bool:
    """Whether a site asks that is not below this one."""
    federation = site.federation
    if caller.site is None or federation is None:
        return False
    return caller.site not in federation.sites.subtree(federation.name)
