"""What a site has, as reconciling sees it."""

import asyncio
from collections.abc import Iterable

from skerry.catalog.copies import Copies
from skerry.core.copy import Copy, CopyState
from skerry.core.errors import NotFound
from skerry.core.placement.observed import Capacity, Held, Observed, PinnedBy
from skerry.stores.base import Store
from skerry.transfer.cache import Cache

_HELD = {CopyState.QUEUED: Held.QUEUED, CopyState.PARTIAL: Held.PARTIAL, CopyState.COMPLETE: Held.COMPLETE}


async def observe(copies: Copies, store: Store, cache: Cache | None) -> list[Observed]:
    """All copies; a site without a cache has those of its own images alone.

    A copy whose file is gone, or has another size, is bad.
    """
    known = copies.all()
    bad = await asyncio.to_thread(_bad, known, store)
    where = await asyncio.to_thread(store.elsewhere)
    return [_observed(copy, cache, copy.image_id in bad, where.get(copy.image_id, "")) for copy in known]


async def capacity(store: Store, cache: Cache) -> Capacity:
    """The room for copies."""
    return Capacity(cache.room.limit, await asyncio.to_thread(store.free), store.others)


def _bad(copies: Iterable[Copy], store: Store) -> set[str]:
    found = set()
    for copy in copies:
        if copy.state is CopyState.COMPLETE:
            try:
                whole = store.size(copy.image_id) == copy.size
            except NotFound:
                whole = False
            if not whole:
                found.add(copy.image_id)
    return found


def _observed(copy: Copy, cache: Cache | None, bad: bool, store: str) -> Observed:
    retry_at, error = cache.next_try(copy.image_id) if cache else (None, "")
    whole = copy.state is CopyState.COMPLETE
    pin = PinnedBy.PERSON if copy.pinned else PinnedBy.RULE if copy.placed else None
    return Observed(
        image_id=copy.image_id,
        state=Held.BAD if bad or (copy.trouble and whole) else _HELD[copy.state],
        size=copy.size or 0,
        here=copy.durable,
        cached=copy.cached,
        pinned_by=pin,
        busy=cache is not None and cache.is_busy(copy.image_id),
        last_used=copy.last_used,
        since=copy.since,
        mirrored_by=copy.mirrored_by,
        keep=copy.keep,
        unwanted_since=copy.unwanted_since,
        retry_at=retry_at,
        error=error or copy.trouble,
        store=store,
    )
