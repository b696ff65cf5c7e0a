"""Which copies make room: the least recently used first, mirrored ones last, never what is pinned or read."""

from collections.abc import Collection, Sequence

from skerry.core.copy import Copy, CopyState
from skerry.core.errors import NoSpace


def occupied(copies: Sequence[Copy]) -> int:
    """Bytes that cached copies take or have been promised; a partial one counts whole."""
    return sum(copy.size or 0 for copy in copies if copy.cached and copy.state is not CopyState.QUEUED)


def make_room(copies: Sequence[Copy], need: int, *, limit: int, busy: Collection[str]) -> list[str]:
    """Ids to evict, in order, so that `need` more bytes stay within `limit` bytes.

    `busy` are the ids being read or fetched. Raises NoSpace when it cannot be done at all.
    """
    used = occupied(copies)
    chosen: list[str] = []
    candidates = sorted(
        (copy for copy in copies if copy.evictable and copy.image_id not in busy),
        key=lambda copy: (copy.mirrored, copy.last_used, copy.image_id),
    )
    for copy in candidates:
        if used + need <= limit:
            break
        chosen.append(copy.image_id)
        used -= copy.size or 0
    if used + need > limit:
        raise NoSpace(
            f"The cache has no room for {need} bytes: {limit} can be used, and {used} are pinned or in use.",
            hint="Raise [cache] size, free space on the disk, or unpin images with `skerry cache unpin`.",
        )
    return chosen
