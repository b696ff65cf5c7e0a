"""Whether a site can be cut off, and what would be missing."""

from collections.abc import Iterable
from dataclasses import dataclass

from skerry.core.placement.knowledge import Contact, Knowledge, Sync


@dataclass(frozen=True, slots=True)
class Preflight:
    """The answer for one site: of the `mirrored` images all but the `lacking` ones are surely there.

    `as_of` is the age of the oldest word that it rests on, None when there is none.
    """

    site: str
    mirrored: int
    lacking: tuple[Knowledge, ...]
    reason: str
    as_of: float | None

    @property
    def is_safe(self) -> bool:
        """Whether nothing would be missing that ought to be there."""
        return not self.lacking


def preflight(site: str, mirrored: Iterable[Knowledge]) -> Preflight:
    """Look at what is known of all images that are mirrored at a site (`judgement.judge`).

    A silent site is not safe: what it said may not hold any longer. What is on demand does not count, and is
    not promised.
    """
    known = list(mirrored)
    lacking = tuple(one for one in known if not one.is_sure)
    silent = sum(one.contact.value is Contact.SILENT for one in lacking)
    missing = sum(one.sync.value is not Sync.VERIFIED for one in lacking)
    if not lacking:
        reason = f"all {len(known)} images that ought to be there are there, and verified"
    elif missing:
        reason = f"{missing} of {len(known)} images that ought to be there are missing or not verified"
    else:
        reason = "all images were there by its last word"
    if silent:
        reason += ", and the site is silent"
    words = [one.sync.as_of for one in known]
    as_of = None if None in words else min((word for word in words if word is not None), default=None)
    return Preflight(site, len(known), lacking, reason, as_of)
