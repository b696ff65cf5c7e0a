"""How an image would come, without bringing any of it but its index."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.core.copy import CopyState
from skerry.core.errors import UnknownFormat, WrongBytes
from skerry.core.fetch_plan import By, FetchPlan, Reuse, Source, order
from skerry.core.image import Image
from skerry.core.index_name import index_name
from skerry.stores.base import Store
from skerry.transfer.assembling import CHUNKS, JOURNAL, part
from skerry.transfer.chunks import Asked, Chunks
from skerry.transfer.siblings import Siblings
from skerry.transfer.way import UPSTREAM
from skerry.transfer.ways import Outset, ask_index, outset
from skerry.upstream.client import UpstreamImages
from skerry.upstream.link import NO_ANSWER

if TYPE_CHECKING:
    from skerry.chunking.index import ImageIndex
    from skerry.chunking.recipe import Flags, Numbers


@dataclass(frozen=True, slots=True)
class Planner:
    """Of one edge. `stall` as for a fetch."""

    store: Store
    copies: Copies
    records: Records
    upstream: UpstreamImages
    chunks: Chunks
    siblings: Siblings
    stall: float

    async def plan(self, image: Image) -> FetchPlan:
        """What comes from where, or still comes of an image that is on its way.

        It is decided by what decides for a fetch, which then goes by the same index. Raises UpstreamAway.
        """
        size = image.size or 0
        copy = self.copies.get(image.id)
        nothing = FetchPlan(image.id, image.name, size, By.NOTHING, "")
        if copy is not None and copy.state is CopyState.COMPLETE and copy.size == size:
            return nothing
        known = replace(nothing, rate=self.upstream.meter.rate)
        try:
            start = await outset(image, size, self.store, lambda: self._ask(image, size))
            if not start.whole:
                known = replace(known, rate=self.upstream.meter.rate)
                return await self._by_chunks(image, known, start)
            done = await asyncio.to_thread(self.store.partial(image.id).size)
            return replace(_whole(known, start.whole, max(0, size - done)), done=done)
        except (WrongBytes, UnknownFormat) as error:
            return _whole(known, str(error), size)

    async def _ask(self, image: Image, size: int) -> Asked | None:
        """Ask once, and keep the answer for the fetch."""
        asked = self.chunks.recall(image.id, drop=False)
        if asked is not None:
            return asked
        link = self.upstream.link
        if not link.connected:
            raise link.away()
        try:
            asked = await ask_index(
                image,
                size,
                self.upstream,
                self.chunks,
                stall=self.stall,
                spare=self.siblings.possible,
                begin=False,
            )
        except NO_ANSWER as error:
            await link.ask()
            raise link.away() from error
        if asked is not None:
            self.chunks.keep(image.id, asked)
        return asked

    async def _by_chunks(self, image: Image, known: FetchPlan, start: Outset) -> FetchPlan:
        plan, lengths = await asyncio.to_thread(self._look, image, known, start)
        if not len(lengths):
            return plan
        siblings = await self.siblings.have(image.id, index_name(start.index), len(lengths))
        return replace(plan, sources=_shared(lengths, siblings))

    def _look(self, image: Image, known: FetchPlan, start: Outset) -> "tuple[FetchPlan, Numbers]":
        """The plan but for its sources, and how long each chunk is that is missing; 0 are the others."""
        import numpy as np

        from skerry.chunking.plan import plan
        from skerry.transfer.reuse import find, why_whole

        with ExitStack() as opened:
            found = find(image, known.size, start.index, self.chunks, opened)
            if reason := why_whole(found.share, start.rate):
                return _whole(known, reason, known.size), np.zeros(0, np.int64)
            index = found.index
            stored = self._stored(image.id, index, index_name(start.index))
            chosen = plan(index, [one.index for one in found.held], stored)
            names = {name: image_id for image_id, name in self.chunks.holdings.names().items()}
            reused = [
                self._reuse(names.get(held.name, ""), size)
                for held, size in zip(found.held, chosen.reused_bytes, strict=True)
            ]
            lengths = np.zeros(index.count, np.int64)
            lengths[chosen.missing] = index.length[chosen.missing]
            by_chunks = replace(
                known,
                by=By.CHUNKS,
                reused=order(reused),
                done=chosen.done_bytes,
                missing=chosen.missing_bytes,
                holes=index.recipe.view_size - index.data_size,
            )
            return by_chunks, lengths

    def _reuse(self, image_id: str, size: int) -> Reuse:
        record = self.records.cached(image_id)
        return Reuse(image_id, record.name if record is not None else None, size)

    def _stored(self, image_id: str, index: "ImageIndex", name: str) -> "Flags":
        """The chunks that are here already."""
        from skerry.chunking.journal import as_flags, chunks_of

        if (growing := self.chunks.growing.get(image_id)) is not None and growing.name == name:
            return as_flags(growing.stored, index.count)
        begun = part(self.store, image_id, CHUNKS).size() == index.size
        return chunks_of(part(self.store, image_id, JOURNAL).path if begun else None, name, index.count)


def _whole(known: FetchPlan, reason: str, missing: int) -> FetchPlan:
    sources = (Source(UPSTREAM, missing),)
    return replace(known, by=By.WHOLE, reason=reason, missing=missing, sources=sources)


def _shared(lengths: "Numbers", siblings: "Mapping[str, Flags | None]") -> tuple[Source, ...]:
    """Who sends what, when each chunk comes from the first who has it, and upstream has the rest."""
    found, left = [], lengths.copy()
    for name, has in sorted(siblings.items()):
        theirs = slice(None) if has is None else has
        if size := int(left[theirs].sum()):
            found.append(Source(name, size))
        left[theirs] = 0
    return *found, Source(UPSTREAM, int(left.sum()))
