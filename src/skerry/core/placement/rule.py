"""A placement: a rule that says which images ought to be at which sites, how firmly, and with what limits."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from skerry.core.placement.images import ImageSelector
from skerry.core.placement.sites import SiteSelector
from skerry.core.placement.window import Window


class Mode(StrEnum):
    """How firmly."""

    MIRROR = "mirror"
    """A copy ought to be there, and is brought there."""
    ON_DEMAND = "on-demand"
    """A copy is there once asked for, until its room is needed. So is what no placement selects."""
    NEVER = "never"
    """No copy is kept there."""


_FIRMEST_FIRST = (Mode.NEVER, Mode.MIRROR, Mode.ON_DEMAND)


@dataclass(frozen=True, slots=True)
class Placement:
    """One rule. `name` is unique.

    `pinned`: never evicted once it is there. `store`: in which of the site's stores, "" for its default. For
    `mirror` alone: `window`, the time of day in which copies are brought; `rate`, in bytes a second, of each;
    `keep`, for how many seconds a copy stays that is mirrored no longer. A `keep` of None makes it an
    ordinary copy, which goes when its room is needed.
    """

    name: str
    images: ImageSelector
    sites: SiteSelector
    mode: Mode
    pinned: bool = False
    store: str = ""
    priority: int = 0
    window: Window | None = None
    rate: int | None = None
    keep: float | None = None

    @property
    def rank(self) -> tuple[int, int, str]:
        """Of several that select an image at a site the one of the least rank decides, alone."""
        return -self.priority, _FIRMEST_FIRST.index(self.mode), self.name


def ranked(placements: Iterable[Placement]) -> tuple[Placement, ...]:
    """In the order in which they decide: highest priority, then `never`, `mirror`, `on-demand`, then name."""
    return tuple(sorted(placements, key=lambda placement: placement.rank))
