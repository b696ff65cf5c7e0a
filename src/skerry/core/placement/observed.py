"""What is at a site: its copies, and the room for them."""

from dataclasses import dataclass
from enum import StrEnum


class Held(StrEnum):
    """How much of an image is there."""

    QUEUED = "queued"
    PARTIAL = "partial"
    COMPLETE = "complete"
    BAD = "bad"
    """Its bytes are not those of the record, or its file is gone."""


class PinnedBy(StrEnum):
    """Who says that a copy is not to be evicted. A person's pin is never taken away by a placement."""

    RULE = "rule"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Observed:
    """One copy as a site sees it.

    `size` is that of the whole image in bytes, `here` how many of a partial one are durable. What is not
    `cached` has its home here and cannot be fetched again. `busy`: a client reads it, or waits for it.

    `mirrored_by` is the placement that had it mirrored last, "" when none has, `keep` what that said, and
    `unwanted_since` when it was first seen to be mirrored no longer. `retry_at` is before which it is not
    fetched, after failures with `error` as the last one. `store` is the one of the site's that it is in, ""
    for the default one.
    """

    image_id: str
    state: Held
    size: int = 0
    here: int = 0
    cached: bool = True
    pinned_by: PinnedBy | None = None
    busy: bool = False
    last_used: float = 0.0
    since: float = 0.0
    mirrored_by: str = ""
    keep: float | None = None
    unwanted_since: float | None = None
    retry_at: float | None = None
    error: str = ""
    store: str = ""

    @property
    def taken(self) -> int:
        """Bytes that it takes, or has been promised."""
        return 0 if self.state is Held.QUEUED else self.size

    @property
    def written(self) -> int:
        """Bytes of these that are on the disk."""
        return {Held.COMPLETE: self.size, Held.PARTIAL: self.here}.get(self.state, 0)

    @property
    def drop_at(self) -> float | None:
        """When it has been kept for long enough; None for not by time."""
        if self.unwanted_since is None or self.keep is None:
            return None
        return self.unwanted_since + self.keep


@dataclass(frozen=True, slots=True)
class Capacity:
    """`limit`: bytes that all cached copies may take. `free`: bytes free on the disk, None if unknown.

    `stores` are the names of stores beside the default one.
    """

    limit: int
    free: int | None = None
    stores: frozenset[str] = frozenset()
