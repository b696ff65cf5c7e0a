"""How a placement selects among images."""

import re
from dataclasses import dataclass
from math import inf

from skerry.core.image import Image, Visibility
from skerry.core.placement.globs import matcher

NAME = "name"
"""The word in `family` that stands for the name without its version."""

_VERSION = re.compile(r"[-_ :]v?\d[^-_ :]*\Z")


@dataclass(frozen=True, slots=True)
class ImageSelector:
    """Selects the images for which everything holds that is given; nothing given selects all that have data.

    `names`: globs, the name is like one of them. `tags`: it has all of these. `properties`: it has all of
    these, with the value unless that is None. `owners`, `visibilities`: it is one of these. `size_min` and
    `size_max` are bytes, both included. `age_min` and `age_max` are seconds since `created_at`, the second
    excluded.

    `newest`: it is among so many newest of its family, counted among the images for which the rest holds. A
    family are the images that have the same in each of `family`: names of properties, or the word `name` for
    the name without its version. An image that lacks one of these properties is in no family, and not
    selected. A deactivated image does not count, so that another takes its place, but is itself selected
    where it would be.
    """

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    properties: tuple[tuple[str, str | None], ...] = ()
    owners: tuple[str, ...] = ()
    visibilities: tuple[Visibility, ...] = ()
    size_min: int | None = None
    size_max: int | None = None
    age_min: float | None = None
    age_max: float | None = None
    newest: int | None = None
    family: tuple[str, ...] = (NAME,)

    def unmet(self, image: Image) -> str | None:
        """The first key that does not hold for an image, or None; age and newest aside."""
        if self.names and not matcher(self.names)(image.name or ""):
            return "name"
        if self.tags and not image.tags.issuperset(self.tags):
            return "tag"
        for name, value in self.properties:
            if name not in image.properties or value not in (None, image.properties[name]):
                return "property"
        if self.owners and image.owner not in self.owners:
            return "owner"
        if self.visibilities and image.visibility not in self.visibilities:
            return "visibility"
        if self.size_min is not None and (image.size is None or image.size < self.size_min):
            return "size_min"
        if self.size_max is not None and (image.size is None or image.size > self.size_max):
            return "size_max"
        return None

    @property
    def is_timed(self) -> bool:
        """Whether the age of an image matters."""
        return self.age_min is not None or self.age_max is not None

    def span(self, image: Image) -> tuple[float, float]:
        """From when to before when an image has the right age."""
        created = image.created_at.timestamp()
        begin = -inf if self.age_min is None else created + self.age_min
        end = inf if self.age_max is None else created + self.age_max
        return begin, end

    def family_of(self, image: Image) -> tuple[str, ...] | None:
        """What an image has in common with its family, or None when it is in none."""
        common = []
        for key in self.family:
            value = without_version(image.name or "") if key == NAME else image.properties.get(key)
            if value is None:
                return None
            common.append(value)
        return tuple(common)


def without_version(name: str) -> str:
    """A name without its last part, if that begins with a digit, or with `v` and a digit.

    Parts are separated by `-`, `_`, `:` or a space: `debian-12-20260131` gives `debian-12`.
    """
    return _VERSION.sub("", name)
