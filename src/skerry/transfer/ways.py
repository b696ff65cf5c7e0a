"""Which way an image comes: by its chunks where that saves something, else from first to last."""

import asyncio
import logging
from typing import TYPE_CHECKING

from skerry.core.errors import UnknownFormat, WrongBytes
from skerry.core.index_name import index_name
from skerry.transfer.assembling import INDEX, discard_chunks, part
from skerry.transfer.chunks import Chunks
from skerry.transfer.indexing import LEAST
from skerry.transfer.persist import persist
from skerry.transfer.way import Task, Way
from skerry.transfer.whole import Whole

if TYPE_CHECKING:
    from skerry.transfer.delta import Delta

log = logging.getLogger(__name__)


async def choose(task: Task, chunks: Chunks) -> Way:
    """Go on as it was begun, or begin as is best.

    Raises UpstreamAway, UpstreamFailed, NoSpace, StoreFailed.
    """
    if task.size < LEAST or await asyncio.to_thread(task.store.partial(task.image.id).size) > 0:
        return Whole(task)
    return await _delta(task, chunks) or Whole(task)


async def _delta(task: Task, chunks: Chunks) -> "Delta | None":
    saved = part(task.store, task.image.id, INDEX)
    index = await asyncio.to_thread(lambda: saved.path.read_bytes() if saved.size() else b"")
    began = bool(index)
    rate = None
    try:
        if not index:
            found = await _ask(task, chunks)
            if found is None:
                return None
            index, rate = found
        if task.image.index not in (None, index_name(index)):
            raise WrongBytes("its index is not the one that its record names")
        from skerry.transfer.delta import Delta  # slow to import, and most sites' images never come so

        return await Delta.begin(task, chunks, index, rate=None if began else rate)
    except (WrongBytes, UnknownFormat) as error:
        log.warning("image %s comes whole: %s", task.image.id, error)
        await asyncio.to_thread(discard_chunks, task.store, task.image.id)
        return None


async def _ask(task: Task, chunks: Chunks) -> tuple[bytes, float] | None:
    """The file of the index, and at how many bytes a second it came. None when upstream has none.

    Raises WrongBytes.
    """
    like = next(iter(chunks.similar(task.image)), None)
    answer: tuple[bytes, str, float] | None = None

    async def attempt() -> bool:
        nonlocal answer
        answer = await task.upstream.index(
            task.image.id, chunks.name_of(like) if like else None, most=(1 << 20) + task.size // 128
        )
        return True

    await persist(task.image.id, task.upstream.link, attempt, progress=lambda: 0, held_up=task.held_up)
    if answer is None:
        return None
    data, shortened, rate = answer
    if shortened and like:
        from skerry.chunking.index_wire import lengthen

        known = await asyncio.to_thread(chunks.holdings.index_file, like)
        data = await asyncio.to_thread(lengthen, data, known, (1 << 20) + task.size // 128)
    return data, rate
