"""What the tests of placements are played with: small images, sites, copies, and what carries a plan out."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from skerry.core.image import Image, Status, Visibility
from skerry.core.placement.actions import Adopt, Drop, Evict, Fetch, Move, Pin, Release, Unpin
from skerry.core.placement.document import parse
from skerry.core.placement.observed import Held, Observed, PinnedBy
from skerry.core.placement.plan import Plan
from skerry.core.placement.planner import Planner, Wanted
from skerry.core.placement.rule import Placement
from skerry.core.placement.sites import Site

EPOCH = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = EPOCH.timestamp()
"""Noon."""
DAY = 86400.0


def identity(number: int) -> str:
    return str(UUID(int=number))


def image(number: int, name: str = "", *, days: float = 0, **attributes: Any) -> Image:
    """An active image that is so many days old."""
    made = EPOCH - timedelta(days=days)
    known: dict[str, Any] = {"status": Status.ACTIVE, "size": 10, "visibility": Visibility.PUBLIC}
    known |= attributes
    known["tags"] = frozenset(known.get("tags", ()))
    known["properties"] = MappingProxyType(known.get("properties", {}))
    return Image(identity(number), made, made, name=name or f"image {number}", **known)


def rules(*entries: dict[str, Any]) -> tuple[Placement, ...]:
    """Placements as an operator writes them; what is left out is `all`, and `mirror`."""
    full = [
        {"name": f"rule-{number}", "images": "all", "sites": "all", "mode": "mirror"} | entry
        for number, entry in enumerate(entries)
    ]
    return parse({"placements": full})


def planner(
    entries: Sequence[dict[str, Any]], images: Iterable[Image], sites: Iterable[Site] = (), now: float = NOW
) -> Planner:
    return Planner(rules(*entries), sites or [Site("lyon")], images, now)


def apply(plan: Plan, wanted: dict[str, Wanted], copies: Iterable[Observed], now: float) -> list[Observed]:
    """The copies once a plan has been carried out to its end, windows and next tries included."""
    here = {copy.image_id: copy for copy in copies}
    for action in plan.actions:
        match action:
            case Drop() | Evict():
                del here[action.image_id]
            case Fetch():
                before = here.get(action.image_id, Observed(action.image_id, Held.QUEUED))
                here[action.image_id] = replace(
                    before,
                    state=Held.COMPLETE,
                    size=wanted[action.image_id].size,
                    here=0,
                    retry_at=None,
                    last_used=now,
                    mirrored_by=action.rule or before.mirrored_by,
                    keep=action.keep if action.rule else before.keep,
                    unwanted_since=None if action.rule else before.unwanted_since,
                    pinned_by=before.pinned_by or (PinnedBy.RULE if action.pinned else None),
                )
            case Pin():
                here[action.image_id] = replace(here[action.image_id], pinned_by=PinnedBy.RULE)
            case Unpin():
                here[action.image_id] = replace(here[action.image_id], pinned_by=None)
            case Adopt():
                here[action.image_id] = replace(
                    here[action.image_id], mirrored_by=action.rule, keep=action.keep, unwanted_since=None
                )
            case Move():
                here[action.image_id] = replace(here[action.image_id], store=action.store)
            case Release(since=None):
                here[action.image_id] = replace(
                    here[action.image_id], mirrored_by="", keep=None, unwanted_since=None
                )
            case Release():
                here[action.image_id] = replace(here[action.image_id], unwanted_since=action.since)
    return list(here.values())
