"""What ought to be: for every image at every site, without looking at each pair.

Images that are selected by the same placements form a group. What ought to be of a group at a site is found
by one look at two bit masks. So the cost is that of images times placements (once), plus groups times sites,
plus what is asked for; a changed image costs its own placements and families.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from skerry.core.image import Image
from skerry.core.placement.desire import Desire
from skerry.core.placement.groups import ImageGroup
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


class _Place(NamedTuple):
    site: Site
    mask: int
    labels: frozenset[tuple[str, str]]


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

    def decide(self, group: ImageGroup, site: str) -> Desire:
        """What ought to be of the images of a group at a site."""
        place = self._places[site]
        both = group.mask & place.mask
        if both & self._wishing and not (group.wish and group.wish.asks_for(site, place.labels)):
            both &= ~self._wishing
        first = (both & -both).bit_length() - 1  # -1 for none: the last of the list
        return self._desires[group.withdrawn][first]

    def for_site(self, site: str) -> Iterator[tuple[str, Desire]]:
        """What ought to be of every image at a site."""
        for group, members in self.selection.groups:
            desire = self.decide(group, site)
            for image_id in members.ids:
                yield image_id, desire

    def mirrored(self, site: str) -> Total:
        """How much ought to be at a site without being asked for."""
        images = size = 0
        for group, members in self.selection.groups:
            if self.decide(group, site).is_mirror:
                images += len(members.ids)
                size += members.size
        return Total(images, size)

    def wanted(self, site: str, here: Iterable[str]) -> dict[str, Wanted]:
        """All that `reconcile` must know: of the images mirrored at a site, and of those that are `here`."""
        wanted: dict[str, Wanted] = {}
        for group, members in self.selection.groups:
            desire = self.decide(group, site)
            if desire.is_mirror:
                for image_id in members.ids:
                    wanted[image_id] = self._wanted(image_id, desire)
        for image_id in here:
            if image_id not in wanted and (group_here := self.selection.group(image_id)) is not None:
                wanted[image_id] = self._wanted(image_id, self.decide(group_here, site))
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

    def _wanted(self, image_id: str, desire: Desire) -> Wanted:
        image = self.selection.image(image_id)
        assert image is not None
        return Wanted(image.size or 0, image.created_at.timestamp(), desire)
