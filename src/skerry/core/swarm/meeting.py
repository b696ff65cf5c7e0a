"""Where sites below one upstream find each other: who has asked for which image lately."""

from collections.abc import Iterator
from dataclasses import dataclass, field

_REMEMBERED = 60.0
"""Seconds for which a site counts as fetching, or holding, an image after it has said so."""

_GOLDEN = 0.6180339887
"""Multiples of it, without their whole part, lie as far from each other as can be, however many they are."""

_MOST_IMAGES = 4096


@dataclass(slots=True)
class _Group:
    seen: dict[str, float] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    next: int = 0


class Meeting:
    """In memory: what is forgotten is said again. Times are in seconds and never run backwards."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}

    def join(self, image_id: str, index: str, site: str, now: float, *, gives: bool = True) -> float:
        """A site fetches or holds the image with this index. Where in it, in [0, 1), it is to begin.

        The first one begins at the front, the others as far from each other as can be. One that `gives`
        nothing is not named to others.
        """
        self._forget(now)
        group = self._groups.setdefault((image_id, index), _Group())
        if site not in group.starts:
            group.starts[site] = group.next * _GOLDEN % 1
            group.next += 1
        group.seen[site] = now
        group.hidden = group.hidden - {site} if gives else group.hidden | {site}
        return group.starts[site]

    def others(self, image_id: str, index: str, site: str) -> list[str]:
        """The sites that have joined beside this one, the last ones first."""
        group = self._groups.get((image_id, index))
        if group is None:
            return []
        return sorted(group.seen.keys() - group.hidden - {site}, key=lambda name: -group.seen[name])

    def _forget(self, now: float) -> None:
        for key, group in list(self._groups.items()):
            for site in list(self._gone(group, now)):
                del group.seen[site], group.starts[site]
                group.hidden.discard(site)
            if not group.seen:
                del self._groups[key]
        while len(self._groups) >= _MOST_IMAGES:
            del self._groups[next(iter(self._groups))]

    @staticmethod
    def _gone(group: _Group, now: float) -> Iterator[str]:
        return (site for site, at in group.seen.items() if now - at > _REMEMBERED)
