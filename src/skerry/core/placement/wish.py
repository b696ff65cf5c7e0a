"""What an image asks for itself: the sites at which it would like to be.

The wish counts only where the operator has written a placement that honours wishes (`sites: {wished: true}`),
within its selection of images and sites, and as that placement says.
"""

from dataclasses import dataclass

from skerry.core.image import Image

PROPERTY = "skerry:sites"
"""Names of sites and labels `key=value`, with commas between them; each of them is one more site, or more."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Sites by name, and all sites that have one of the labels."""

    names: frozenset[str]
    labels: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, image: Image) -> "Wish | None":
        """The wish of an image, or None when it has none."""
        parts = [part.strip() for part in (image.properties.get(PROPERTY) or "").split(",")]
        names = frozenset(part for part in parts if part and "=" not in part)
        labels = frozenset(_pair(part) for part in parts if "=" in part)
        return cls(names, labels) if names or labels else None

    def asks_for(self, name: str, labels: frozenset[tuple[str, str]]) -> bool:
        """Whether it asks for a site of this name with these labels."""
        return name in self.names or not self.labels.isdisjoint(labels)


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip(), value.strip()
