"""Images as chunks, for other sites: /skerry/v1/images/{image_id}/index and …/packs.

Who may have the bytes of an image may have its chunks.
"""

import asyncio
from collections.abc import Awaitable

from aiohttp import hdrs, web

from skerry.api.access import readable
from skerry.api.context import Site
from skerry.core.caller import Caller
from skerry.core.errors import NotFound, TooSlow
from skerry.stores.beside import Kind
from skerry.upstream.client import INDEX_TYPE, LIKE, PACKS_TYPE

_PIECE = 256 << 10


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
    """GET …/index: the file of the index; with `?like=NAME` shortened for who has the index NAME."""
    image_id = request.match_info["image_id"]
    await readable(site, caller, image_id)
    name, like = site.chunks.name_of(image_id), request.query.get("like", "")
    if name is None:
        raise NotFound(f"Image {image_id} has no index here.", image=image_id)
    headers: dict[str, str] = {hdrs.ETAG: f'"{name}"', hdrs.CONTENT_TYPE: INDEX_TYPE}
    body, shortened = await asyncio.to_thread(_file, site, image_id, like)
    if shortened:
        headers[LIKE] = like
    return web.Response(body=body, headers=headers)


def _file(site: Site, image_id: str, like: str) -> tuple[bytes, bool]:
    """The bytes to send, and whether they are shortened."""
    data = site.chunks.store.beside.get(Kind.INDEX, image_id)
    known = next((copy.image_id for copy in site.copies.all() if copy.index == like), None) if like else None
    if known is None:
        return data, False
    from skerry.chunking.index_wire import shorten  # slow to import, and not needed to start

    return shorten(data, site.chunks.store.beside.get(Kind.INDEX, known)), True


async def packs(request: web.Request, site: Site, caller: Caller) -> web.StreamResponse:
    """POST …/packs: the chunks that an order names, see `chunking.pack_stream`."""
    from skerry.chunking.pack_stream import decode_order

    image_id = request.match_info["image_id"]
    await readable(site, caller, image_id)
    async with asyncio.timeout(site.config.api.slow_after):
        order = decode_order(await request.read())
    patience = _Patience(site.config.api.min_rate, site.config.api.slow_after)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: PACKS_TYPE})
    async with site.chunks.maker.packs(image_id, order) as pieces:
        await response.prepare(request)
        async for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                part = piece[start : start + _PIECE]
                await patience.wait(response.write(part), len(part))
    return response
