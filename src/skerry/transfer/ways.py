"""Which way an image comes: by its chunks where that saves something, else from first to last."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skerry.core.errors import UnknownFormat, WrongBytes
from skerry.core.image import Image
from skerry.core.index_name import index_name
from skerry.stores.base import Store
from skerry.transfer.assembling import INDEX, discard_chunks, part
from skerry.transfer.chunks import Asked, Chunks
from skerry.transfer.indexing import LEAST
from skerry.transfer.persist import persist
from skerry.transfer.way import Task, Way
from skerry.transfer.whole import Whole
from skerry.upstream.client import UpstreamImages

if TYPE_CHECKING:
    from skerry.transfer.delta import Delta

log = logging.getLogger(__name__)

_TELLING = 64 << 10
"""Bytes of an index from which on the time that it took says enough of a line that others may be spared."""


@dataclass(frozen=True, slots=True)
class Outset:
    """How an image sets out, or goes on: whole for a reason, or with the file of its index.

    `rate` is that of the line as far as it is known, None when the way was chosen before.
    """

    whole: str
    index: bytes = b""
    rate: float | None = None


async def outset(image: Image, size: int, store: Store, ask: Callable[[], Awaitable[Asked | None]]) -> Outset:
    """See how an image comes; `ask` brings the index, if upstream has one. Raises WrongBytes."""
    if size < LEAST:
        return Outset("it is small")
    if await asyncio.to_thread(store.partial(image.id).size) > 0:
        return Outset("it has begun so")
    saved = part(store, image.id, INDEX)
    index = await asyncio.to_thread(lambda: saved.path.read_bytes() if saved.size() else b"")
    rate = None
    if not index:
        asked = await ask()
        if asked is None:
            return Outset("upstream has no index of it, or is no Skerry")
        index, rate = asked.index, asked.rate
    if image.index not in (None, index_name(index)):
        raise WrongBytes("its index is not the one that its record names")
    return Outset("", index, rate)


async def choose(task: Task, chunks: Chunks) -> Way:
    """Go on as it was begun, or begin as is best.

    Raises UpstreamAway, UpstreamFailed, NoSpace, StoreFailed.
    """
    return await _delta(task, chunks) or Whole(task)


async def ask_index(
    image: Image,
    size: int,
    upstream: UpstreamImages,
    chunks: Chunks,
    *,
    stall: float,
    spare: bool,
    begin: bool,
) -> Asked | None:
    """The index of an image, in one request; None when upstream has none. `spare`: others may be asked too.

    With `begin` an upstream that does not have the image begins to fetch it. Raises WrongBytes, NO_ANSWER.
    """
    like = next(iter(chunks.similar(image)), None)
    most = (1 << 20) + size // 128
    name = chunks.name_of(like) if like else None
    answer = await upstream.index(image.id, name, most=most, stall=stall, begin=begin)
    if answer is None:
        return None
    data, shortened, rate = answer
    if len(data) >= _TELLING:
        upstream.meter.rate = upstream.meter.rate or rate
    elif spare:
        rate = 0.0
    if shortened and like:
        from skerry.chunking.index_wire import lengthen

        known = await asyncio.to_thread(chunks.holdings.index_file, like)
        data = await asyncio.to_thread(lengthen, data, known, most)
    return Asked(data, rate)


async def _delta(task: Task, chunks: Chunks) -> "Delta | None":
    try:
        start = await outset(task.image, task.size, task.store, lambda: _ask(task, chunks))
        if start.whole:
            return None
        from skerry.transfer.delta import Delta  # slow to import, and most sites' images never come so

        return await Delta.begin(task, chunks, start.index, rate=start.rate)
    except (WrongBytes, UnknownFormat) as error:
        log.warning("image %s comes whole: %s", task.image.id, error)
        await asyncio.to_thread(discard_chunks, task.store, task.image.id)
        return None


async def _ask(task: Task, chunks: Chunks) -> Asked | None:
    """As a plan has asked before, or until there is an answer."""
    answer = chunks.recall(task.image.id)

    async def attempt() -> bool:
        nonlocal answer
        answer = await ask_index(
            task.image,
            task.size,
            task.upstream,
            chunks,
            stall=task.stall,
            spare=task.siblings.possible,
            begin=True,
        )
        return True

    if answer is None:
        link = task.upstream.link
        await persist(task.image.id, link, attempt, progress=lambda: 0, held_up=task.held_up)
    return answer
