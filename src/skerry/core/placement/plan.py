"""The plan of a site: what it has to do, what it cannot do, and what waits for a person."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from skerry.core.errors import Conflict
from skerry.core.placement.actions import Action, Deletion, Drop, Evict


class Obstacle(StrEnum):
    """What stands in the way."""

    NO_ROOM = "no-room"
    HELD = "held"
    DRAINING = "draining"
    AT_HOME = "at-home"


@dataclass(frozen=True, slots=True)
class Blocked:
    """An image that ought to come and is not begun: `reason` why, `remedy` what would help."""

    image_id: str
    obstacle: Obstacle
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person has approved. To be forgotten when it is `spent`."""

    deletions: frozenset[Deletion]

    def spent(self, plan: "Plan") -> bool:
        """Whether a plan has nothing left of what was approved."""
        return self.deletions.isdisjoint(plan.deletions)


@dataclass(frozen=True, slots=True)
class Hold:
    """All deletions of a plan, which wait for a person. `digest` stands for exactly these at this site.

    `copies` is how many are at the site, and `losing` how many of them would go.
    """

    site: str
    reason: str
    since: float
    copies: int
    losing: int
    deletions: frozenset[Deletion]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _digest(self.site, self.deletions))

    def approve(self, digest: str) -> Approval:
        """What a person approves who has seen the hold of this digest. Raises Conflict for another digest."""
        if digest != self.digest:
            raise Conflict(
                f"What would be deleted at {self.site} has changed since that plan was shown.",
                hint="Look at the plan again, and approve the one that it shows now.",
                site=self.site,
            )
        return Approval(self.deletions)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a site has to do, in this order, and what it cannot do.

    `next_at` is when the plan has to be made again although nothing happens before; None for never.
    """

    actions: tuple[Action, ...]
    blocked: tuple[Blocked, ...] = ()
    hold: Hold | None = None
    next_at: float | None = None

    @property
    def deletions(self) -> frozenset[Deletion]:
        """All that it deletes, or would."""
        done = {action.deletion for action in self.actions if isinstance(action, Drop | Evict)}
        return frozenset(done) | (self.hold.deletions if self.hold else frozenset())


def _digest(site: str, deletions: Iterable[Deletion]) -> str:
    lines = sorted(f"{cause} {image_id}" for cause, image_id in deletions)
    return hashlib.sha256("\n".join([site, *lines]).encode()).hexdigest()[:16]
