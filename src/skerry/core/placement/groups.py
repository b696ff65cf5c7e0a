"""Images for which the same ought to be everywhere, taken together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from skerry.core.placement.wish import Wish


class ImageGroup(NamedTuple):
    """What images have in common. `mask` has bit N when the placement of rank N selects them.

    `wish` is None unless a placement that honours wishes selects them. `withdrawn`: they are deactivated.
    """

    mask: int
    wish: Wish | None
    withdrawn: bool


@dataclass(slots=True)
class Members:
    """The images of a group: their ids, and their bytes altogether."""

    ids: set[str]
    size: int = 0


class Groups:
    """All groups that have members. `version` grows with each that comes; one that goes is empty."""

    def __init__(self) -> None:
        self.version = 0
        self._groups: dict[ImageGroup, Members] = {}

    def __iter__(self) -> Iterator[tuple[ImageGroup, Members]]:
        return iter(self._groups.items())

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, group: ImageGroup, image_id: str, size: int) -> None:
        """Add an image that is not in it."""
        members = self._groups.get(group)
        if members is None:
            members = self._groups[group] = Members(set())
            self.version += 1
        members.ids.add(image_id)
        members.size += size

    def take(self, group: ImageGroup, image_id: str, size: int) -> None:
        """Take out an image that is in it, with the size it had."""
        members = self._groups[group]
        members.ids.remove(image_id)
        members.size -= size
        if not members.ids:
            del self._groups[group]
