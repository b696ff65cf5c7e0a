"""Every image that is whole here gets an index and a sketch, soon after it has come.

That is a pass of its own over bytes that are still in memory, not part of taking them in: an upload is bound
by its digests, and would be slower by as much as this takes. A process of its own does it, one image at a
time.
"""

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path

from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.core.copy import Copy, CopyState
from skerry.core.errors import NotFound, SkerryError, StoreFailed
from skerry.core.image import Image
from skerry.stores.base import Store
from skerry.stores.beside import Kind
from skerry.transfer.publish import Publisher

log = logging.getLogger(__name__)

LEAST = 1 << 20
"""Bytes below which an image gets none: it is sent as fast as its index."""

_AGAIN = 600.0
"""Seconds between looks whether something was overlooked."""

_PATIENCE, _LEAST_RATE = 60.0, 2 << 20
"""An image may take so many seconds, and a second for so many bytes of it."""


class Indexer:
    """Level-triggered: it looks at what is here and makes what lacks, at the start and at each new image."""

    def __init__(self, store: Store, copies: Copies, records: Records, publisher: Publisher) -> None:
        self._store = store
        self._copies = copies
        self._records = records
        self._publisher = publisher
        self._failed: set[str] = set()

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            self._publisher.arrived.clear()
            for image_id in await self._lacking():
                await self._index(image_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN):
                    await self._publisher.arrived.wait()

    async def _lacking(self) -> list[str]:
        """Images without an index or a sketch, the smallest first."""
        sketched = set(await asyncio.to_thread(self._store.beside.ids, Kind.SKETCH))

        def lacks(copy: Copy) -> bool:
            whole = copy.state is CopyState.COMPLETE and (copy.size or 0) >= LEAST
            return whole and not (copy.index and copy.image_id in sketched)

        found = [copy for copy in self._copies.all() if lacks(copy) and copy.image_id not in self._failed]
        return [copy.image_id for copy in sorted(found, key=lambda copy: copy.size or 0)]

    async def _index(self, image_id: str) -> None:
        """Make them; an image that defeats this is passed over until the next start."""
        try:
            image = (await self._records.get(image_id)).image
            index, sketch = await _made(self._store.path(image_id), image)
            await self._publisher.note_index(image_id, index, sketch)
        except NotFound:
            return  # it is gone
        except (SkerryError, OSError) as error:
            log.warning("image %s gets no index: %s", image_id, error)
            self._failed.add(image_id)


async def _made(path: Path, image: Image) -> tuple[bytes, bytes]:
    """The files of the index and of the sketch, see `chunking.__main__`. Raises StoreFailed."""
    known = image.os_hash_value if image.os_hash_algo == "sha512" else None
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "skerry.chunking", path, known or "-", stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(_PATIENCE + (image.size or 0) / _LEAST_RATE):
            made, said = await process.communicate()
    except TimeoutError:
        raise StoreFailed("making it takes too long.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise StoreFailed(said.decode(errors="replace").strip()[-500:] or "the process that makes it died.")
    size = int.from_bytes(made[:8], "little")
    return made[8 : 8 + size], made[8 + size :]
