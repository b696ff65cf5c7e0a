"""What ought to be: for every image at every site, without looking at each pair.

Images that are selected by the same placements form a group. What ought to be of a group at a site is found
by one look at two bit masks. So the cost is that of images times placements (once), plus groups times sites,
plus what is asked for; a changed image costs its own placements and families.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from skerry.core.image import Image
from skerry.core.placement.desire import Desire
from skerry.core.placement.groups import ImageGroup, Members
from skerry.core.placement.rule import Placement, ranked
from skerry.core.placement.selection import Change, Selection
from skerry.core.placement.sites import Site


class Wanted(NamedTuple):
    """What reconciling one image at one site needs to know. `size` is in bytes, `created` a time."""

    size: int
    created: float
    desire: Desire


class Total(NamedTuple):
    """So many images, of so many bytes altogether."""

    images: int
    size: int


@dataclass(slots=True)
class _Place:
    site: Site
    mask: int
    labels: frozenset[tuple[str, str]]
    mirrors: list[tuple[Members, Desire]] = field(default_factory=list)
    """The groups that are mirrored there, as they were at a version of the groups."""
    version: int = -1


class Planner:
    """What ought to be, for these images, sites and placements at the moment `now`.

    Images without data do not count. It is told of changes: of an image (`update`, `remove`), of a site
    (`put_site`, `remove_site`), of time (`advance`, due at `next_change`). Other placements make another
    planner (`with_placements`). Methods that take the name of a site raise KeyError when it is not known.
    """

    def __init__(
        self, placements: Iterable[Placement], sites: Iterable[Site], images: Iterable[Image], now: float
    ) -> None:
        self.placements = ranked(placements)
        self.selection = Selection(self.placements, images, now)
        self._wishing = sum(1 << number for number, rule in enumerate(self.placements) if rule.sites.wished)
        self._desires = {
            withdrawn: [Desire.by(rule, withdrawn=withdrawn) for rule in (*self.placements, None)]
            for withdrawn in (False, True)
        }
        self._places: dict[str, _Place] = {}
        for site in sites:
            self.put_site(site)

    def with_placements(self, placements: Iterable[Placement]) -> "Planner":
        """What would be with other placements, for the same images and sites at the same moment."""
        return Planner(placements, self.sites, self.selection.images, self.selection.now)

    @property
    def sites(self) -> list[Site]:
        """All sites."""
        return [place.site for place in self._places.values()]

    def site(self, name: str) -> Site:
        """A site by its name."""
        return self._places[name].site

    def put_site(self, site: Site) -> None:
        """Add a site, or say what has become of it."""
        mask = sum(1 << number for number, rule in enumerate(self.placements) if not rule.sites.unmet(site))
        self._places[site.name] = _Place(site, mask, frozenset(site.labels.items()))

    def remove_site(self, name: str) -> None:
        """Forget a site; no error when there is none."""
        self._places.pop(name, None)

    def update(self, image: Image) -> Change:
        """Add an image, or say what has become of it; return what went to another group for it."""
        return self.selection.update(image)

    def remove(self, image_id: str) -> Change:
        """Forget an image; no error when there is none."""
        return self.selection.remove(image_id)

    def next_change(self) -> float | None:
        """When `advance` has something to do, unless something changes before; None for never."""
        return self.selection.next_change()

    def advance(self, now: float) -> Change:
        """Let it hold for the moment `now`, also when the clock was set back."""
        return self.selection.advance(now)

    def desire(self, image_id: str, site: str) -> Desire | None:
        """What ought to be of an image at a site; None when it is not known or has no data."""
        group = self.selection.group(image_id)
        return None if group is None else self.decide(group, site)

    def desire_at(self, image_id: str, site: str) -> Desire | None:
        """As `desire`; None also when the site is not known."""
        return self.desire(image_id, site) if site in self._places else None

    def decide(self, group: ImageGroup, site: str) -> Desire:
        """What ought to be of the images of a group at a site."""
        return self._decide(group, self._places[site])

    def for_site(self, site: str) -> Iterator[tuple[str, Desire]]:
        """What ought to be of every image at a site."""
        for group, members in self.selection.groups:
            desire = self.decide(group, site)
            for image_id in members.ids:
                yield image_id, desire

    def mirrored(self, site: str) -> Total:
        """How much ought to be at a site without being asked for."""
        mirrors = self._mirrors(site)
        return Total(
            sum(len(members.ids) for members, _ in mirrors), sum(members.size for members, _ in mirrors)
        )

    def wanted(self, site: str, here: Iterable[str]) -> dict[str, Wanted]:
        """All that `reconcile` must know: of the images mirrored at a site, and of those that are `here`."""
        all_known = self.selection.known
        wanted = {
            image_id: Wanted((known := all_known[image_id]).size, known.created, desire)
            for members, desire in self._mirrors(site)
            for image_id in members.ids
        }
        for image_id in here:
            if image_id not in wanted and (found := all_known.get(image_id)) and found.group:
                wanted[image_id] = Wanted(found.size, found.created, self.decide(found.group, site))
        return wanted

    def concerned(self, change: Change) -> set[str]:
        """The sites at which something else ought to be since a change."""
        found: set[str] = set()
        for before, after in set(change.moved.values()):
            for site in self._places.keys() - found:
                was = self.decide(before, site) if before else None
                if was != (self.decide(after, site) if after else None):
                    found.add(site)
        return found

    def _decide(self, group: ImageGroup, place: _Place) -> Desire:
        mask, wish, withdrawn = group
        both = mask & place.mask
        first = both & -both
        if first & self._wishing and not (wish and wish.asks_for(place.site.name, place.labels)):
            both &= ~self._wishing
            first = both & -both
        return self._desires[withdrawn][first.bit_length() - 1]  # -1 for none: the last of the list

    def _mirrors(self, site: str) -> list[tuple[Members, Desire]]:
        """The groups that are mirrored at a site; worked out again when there are other groups."""
        place, groups = self._places[site], self.selection.groups
        if place.version != groups.version:
            place.mirrors = [
                (members, desire)
                for group, members in groups
                if group.mask & place.mask and (desire := self._decide(group, place)).is_mirror
            ]
            place.version = groups.version
        return place.mirrors
