"""How an image would come to a site: a value, to be shown and compared with what then happens."""

from dataclasses import dataclass
from enum import StrEnum


class By(StrEnum):
    """In what way an image comes."""

    NOTHING = "nothing"
    """It is here."""
    CHUNKS = "chunks"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Reuse:
    """Bytes that are copied from an image that is here; `name` is None where the record is not known."""

    image_id: str
    name: str | None
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes that a site is asked for; upstream is the last."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What comes from where. All figures are bytes.

    Images that come by chunks are counted as they are without compression: a qcow2 by its guest's disk.
    """

    image_id: str
    name: str | None
    size: int
    """Of the file."""
    by: By
    reason: str
    """Why whole; empty otherwise."""
    reused: tuple[Reuse, ...] = ()
    done: int = 0
    """What an earlier attempt has left here, or the one that is under way has brought."""
    missing: int = 0
    """What comes over lines: so many bytes of a whole file, at most so many of chunks, which are packed."""
    holes: int = 0
    """Zeros that nobody sends nor writes."""
    sources: tuple[Source, ...] = ()
    """Of whom, as they are now: siblings go before upstream for what they have."""
    rate: float | None = None
    """Bytes a second of the line to upstream as measured last; None when it never was."""

    @property
    def seconds(self) -> float | None:
        """How long the line to upstream takes for its part, at most for chunks; None when unknown."""
        size = self.sources[-1].size if self.sources else 0
        if not size:
            return 0.0
        return size / self.rate if self.rate else None


def order(reused: list[Reuse]) -> tuple[Reuse, ...]:
    """Those that give anything, the most first."""
    return tuple(sorted((one for one in reused if one.size), key=lambda one: (-one.size, one.image_id)))
