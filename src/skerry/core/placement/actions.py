"""What a site has to do, as values. Carrying an action out twice does no harm."""

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why a copy goes."""

    NEVER = "never"
    UNKNOWN = "unknown"
    """Its image is deleted."""
    KEPT = "kept"
    """It was mirrored, and has been kept for as long as it should."""
    UNFINISHED = "unfinished"
    """It was on its way and is mirrored no longer."""
    ROOM = "room"


Deletion = tuple[Cause, str]
"""Why, and the image that goes; for ROOM the image that comes, since it does not matter which one goes."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bring an image here, or go on with it, not before a moment. `reason` is for a person.

    `rate` is in bytes a second. The copy is then noted as mirrored by `rule` with its `keep`, and pinned by
    it.
    """

    image_id: str
    reason: str
    rule: str
    priority: int = 0
    pinned: bool = False
    store: str = ""
    rate: int | None = None
    keep: float | None = None
    not_before: float | None = None


@dataclass(frozen=True, slots=True)
class Repair(Fetch):
    """Set what is here aside, and bring the image anew. `rule` is "" when none mirrors it."""


@dataclass(frozen=True, slots=True)
class Evict:
    """Give the place of a copy to `room_for`, not before that is fetched. Never one that is in use."""

    image_id: str
    reason: str
    room_for: str
    not_before: float | None = None

    @property
    def deletion(self) -> Deletion:
        """What a person is asked to approve."""
        return Cause.ROOM, self.room_for


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove a copy, whole or not, and end its fetch.

    It may be in use: the store lets whoever reads it go on to its end (the file loses only its name).
    """

    image_id: str
    reason: str
    cause: Cause

    @property
    def deletion(self) -> Deletion:
        """What a person is asked to approve."""
        return self.cause, self.image_id


@dataclass(frozen=True, slots=True)
class Pin:
    """Keep a copy from eviction, in the name of a placement."""

    image_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unpin:
    """Take a placement's pin away."""

    image_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Note that a copy which is here is mirrored by `rule`, with its `keep`, and not unwanted."""

    image_id: str
    reason: str
    rule: str
    keep: float | None


@dataclass(frozen=True, slots=True)
class Release:
    """Note that a copy is mirrored no longer: since when, if kept for a time; None makes it ordinary."""

    image_id: str
    reason: str
    since: float | None


@dataclass(frozen=True, slots=True)
class Move:
    """Have a whole copy in another of the site's stores."""

    image_id: str
    reason: str
    store: str


Action = Fetch | Repair | Evict | Drop | Pin | Unpin | Adopt | Release | Move
