"""What can be said of one image at one site: three axes, each with a reason and how old the knowledge is.

Status is never better than knowledge. What a site has said stays the last word when it falls silent; but then
each axis says when that was, and that it is a last word (`Axis.as_of`, `Axis.reason`), and `contact` is
silent.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from skerry.core.placement.actions import Action
from skerry.core.placement.observed import Observed
from skerry.core.placement.plan import Blocked


class Sync(StrEnum):
    """Whether the bytes are there."""

    VERIFIED = "verified"
    """All of them, and they were checked when they came."""
    STALE = "stale"
    """All of them, but of another size than the record says now."""
    QUEUED = "queued"
    TRANSFERRING = "transferring"
    VERIFYING = "verifying"
    MISSING = "missing"
    """They ought to be there, and are not, and nothing is going to bring them for now."""
    UNNEEDED = "unneeded"
    """They need not be there, or ought not to be."""


class Health(StrEnum):
    """Whether something is wrong."""

    OK = "ok"
    HEALING = "healing"
    """It is being put right by itself; `next_attempt` says when, if it is not being done now."""
    FAILED = "failed"
    """It needs a person; the reason says for what."""


class Contact(StrEnum):
    """Whether the site is heard of."""

    LIVE = "live"
    SILENT = "silent"


T = TypeVar("T", Sync, Health, Contact)


@dataclass(frozen=True, slots=True)
class Axis(Generic[T]):
    """One answer: `since` when it is so, `as_of` when that was last known, None for never or unknown."""

    value: T
    reason: str
    since: float | None = None
    as_of: float | None = None
    next_attempt: float | None = None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What can be said of one image at one site."""

    image_id: str
    site: str
    sync: Axis[Sync]
    health: Axis[Health]
    contact: Axis[Contact]

    @property
    def is_sure(self) -> bool:
        """Whether the image is there, whole and right, by the word of a site that is heard of."""
        return self.sync.value is Sync.VERIFIED and self.contact.value is Contact.LIVE


@dataclass(frozen=True, slots=True)
class Transfer:
    """A fetch that runs: `done` of `size` bytes, or all of them and they are being verified."""

    done: int
    size: int
    since: float
    verifying: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a site last said of an image: what it has, what runs, and what its plan has for it (`step`)."""

    as_of: float
    copy: Observed | None = None
    transfer: Transfer | None = None
    step: Action | Blocked | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """When a site was last heard of, None for never; it is silent when that is `silent_after` seconds ago.

    `since` is when the present contact began, None if that is not known.
    """

    last: float | None
    silent_after: float
    since: float | None = None
