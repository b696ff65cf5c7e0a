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
    evicted unless it is `pinned` by a person or `placed`, pinned by a placement; any other is the image
    itself. `last_used` and `since` (when the copy entered its state) are seconds since the epoch.

    `mirrored_by` is the placement that had it mirrored last, "" when none has; `keep` (seconds) what that
    said of a copy that is mirrored no longer, and `unwanted_since` since when it is not. What is `paused` by
    a person is not fetched but for a client.

    `index` is the digest of the index that is kept beside a whole copy, "" while there is none. A whole copy
    was last compared with its digest at `verified_at`; `trouble` says what was wrong then, until that is put
    right.
    """

    image_id: str
    state: CopyState
    size: int | None = None
    durable: int = 0
    cached: bool = False
    pinned: bool = False
    placed: bool = False
    hits: int = 0
    last_used: float = 0.0
    since: float = 0.0
    mirrored_by: str = ""
    keep: float | None = None
    unwanted_since: float | None = None
    paused: bool = False
    index: str = ""
    verified_at: float = 0.0
    trouble: str = ""

    @property
    def mirrored(self) -> bool:
        """Whether a placement has it mirrored now."""
        return bool(self.mirrored_by) and self.unwanted_since is None

    @property
    def evictable(self) -> bool:
        """Whether its place may be given to another image (readers aside, whom only the cache knows)."""
        return self.cached and not (self.pinned or self.placed) and self.state is CopyState.COMPLETE
