"""Sites, as placements see them, and how a placement selects among them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from skerry.core.placement.globs import matcher


class SiteState(StrEnum):
    """What a site is there for."""

    ACTIVE = "active"
    DRAINING = "draining"
    """It keeps what it has and is brought nothing new."""


@dataclass(frozen=True, slots=True)
class Site:
    """A site, by its name and its labels."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    state: SiteState = SiteState.ACTIVE


@dataclass(frozen=True, slots=True)
class SiteSelector:
    """Selects the sites for which everything holds that is given; nothing given selects all.

    `names`: globs, the name is like one of them. `labels`: it has all of these. `wished`: the image asks for
    the site by its own property (`wish`).
    """

    names: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    wished: bool = False

    def unmet(self, site: Site) -> str | None:
        """The first key that does not hold for a site, or None when it is selected; wishes aside."""
        if self.names and not matcher(self.names)(site.name):
            return "name"
        if any(site.labels.get(key) != value for key, value in self.labels):
            return "label"
        return None
