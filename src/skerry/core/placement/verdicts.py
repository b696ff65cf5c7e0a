"""What each placement says of one image at one site, and why it says nothing where it does not."""

from dataclasses import dataclass

from skerry.core.image import Image
from skerry.core.placement.document import dump_one
from skerry.core.placement.planner import Planner
from skerry.core.placement.rule import Placement
from skerry.core.placement.sites import Site
from skerry.core.placement.wish import PROPERTY, Wish


@dataclass(frozen=True, slots=True)
class Verdict:
    """One placement: its rank among those that select the image at the site, or why it does not.

    `rank` counts from 1, and that of rank 1 decides; it is None when `unmet` names the key that does not
    hold, as in `images.tag`.
    """

    placement: Placement
    rank: int | None
    unmet: str | None

    def __str__(self) -> str:
        name, mode = self.placement.name, self.placement.mode
        if self.rank is not None:
            place = "decides" if self.rank == 1 else f"is of rank {self.rank}"
            return f"{name} says {mode} with priority {self.placement.priority}, and {place}"
        if self.unmet == "sites.wished":
            return f"{name} does not select it: its {PROPERTY} does not ask for this site"
        section, _, key = str(self.unmet).partition(".")
        return f"{name} does not select it: {self.unmet} is {dump_one(self.placement)[section][key]}"


def verdicts(planner: Planner, image: Image, site: Site) -> list[Verdict]:
    """What each placement says of an image that has data, in the order in which they decide."""
    found: list[Verdict] = []
    rank = 0
    for number, placement in enumerate(planner.placements):
        unmet = _unmet(planner, number, placement, image, site)
        rank += unmet is None
        found.append(Verdict(placement, rank if unmet is None else None, unmet))
    return found


def _unmet(planner: Planner, number: int, placement: Placement, image: Image, site: Site) -> str | None:
    """The first key of the document that does not hold."""
    if (key := placement.sites.unmet(site)) is not None:
        return f"sites.{key}"
    if placement.sites.wished:
        wish = Wish.of(image)
        if wish is None or not wish.asks_for(site.name, frozenset(site.labels.items())):
            return "sites.wished"
    if (key := placement.images.unmet(image)) is not None:
        return f"images.{key}"
    begin, end = placement.images.span(image)
    now = planner.selection.now
    if not begin <= now < end:
        return "images.age_min" if now < begin else "images.age_max"
    return None if planner.selection.is_newest(image.id, number) else "images.newest"
