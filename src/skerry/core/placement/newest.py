"""Which images are among the newest of their families, kept up to date one image at a time."""

from bisect import bisect_left, insort
from dataclasses import dataclass, field

Family = tuple[str, ...]


@dataclass(slots=True)
class _Members:
    by_age: list[tuple[float, str]] = field(default_factory=list)
    """(created, id), oldest first; the id decides among those of one moment."""
    chosen: set[str] = field(default_factory=set)


class Newest:
    """The `count` newest of each family. A change costs as much as its own family is large, at most."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._families: dict[Family, _Members] = {}
        self._known: dict[str, tuple[Family, float, bool]] = {}

    def __contains__(self, image_id: str) -> bool:
        known = self._known.get(image_id)
        return known is not None and image_id in self._families[known[0]].chosen

    def put(self, image_id: str, family: Family | None, created: float, *, counts: bool) -> set[str]:
        """Say to which family an image belongs, None for none; return the images that are now in or out.

        An image that does not count leaves its place to the next one, and has it as well.
        """
        before = self._known.get(image_id)
        after = None if family is None else (family, created, counts)
        if before == after:
            return set()
        changed: set[str] = set()
        if before is not None:
            del self._known[image_id]
            changed ^= self._take(before[0], (before[1], image_id))
        if after is not None:
            self._known[image_id] = after
            changed ^= self._add(after[0], (created, image_id))
        return changed

    def _add(self, family: Family, member: tuple[float, str]) -> set[str]:
        members = self._families.setdefault(family, _Members())
        insort(members.by_age, member)
        return self._choose(members)

    def _take(self, family: Family, member: tuple[float, str]) -> set[str]:
        members = self._families[family]
        del members.by_age[bisect_left(members.by_age, member)]
        if not members.by_age:
            del self._families[family]
        return self._choose(members)

    def _choose(self, members: _Members) -> set[str]:
        chosen, left = set(), self._count
        for _, image_id in reversed(members.by_age):
            if not left:
                break
            chosen.add(image_id)
            left -= self._known[image_id][2]
        changed, members.chosen = chosen ^ members.chosen, chosen
        return changed
