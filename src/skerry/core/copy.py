"""The bytes of one image at this site, and what state they are in."""

from dataclasses import dataclass
from enum import StrEnum


class CopyState(StrEnum):
    """How far a copy has come."""

    QUEUED = "queued"
    PARTIAL = "partial"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy.

    `size` is that of the whole image in bytes, or None while nobody has said it; `durable` is how many bytes
    of a partial copy survive a crash. A `cached` copy can be fetched again from upstream, so it may be
    evicted unless it is `pinned`; any other is the image itself. `last_used` and `since` (when the copy
    entered its state) are seconds since the epoch.
    """

    image_id: str
    state: CopyState
    size: int | None = None
    durable: int = 0
    cached: bool = False
    pinned: bool = False
    hits: int = 0
    last_used: float = 0.0
    since: float = 0.0

    @property
    def evictable(self) -> bool:
        """Whether its place may be given to another image (readers aside, whom only the cache knows)."""
        return self.cached and not self.pinned and self.state is CopyState.COMPLETE
