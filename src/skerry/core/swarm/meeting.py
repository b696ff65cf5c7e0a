"""Where sites below one upstream find each other: who has asked for which image lately."""

from collections import OrderedDict
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
    last: float = 0.0


class Meeting:
    """In memory: what is forgotten is said again. Times are in seconds and never run backwards."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[str, str], _Group] = OrderedDict()  # the last asked for at the end

    def join(self, image_id: str, index: str, site: str, now: float, *, gives: bool = True) -> float:
        """A site fetches or holds the image with this index. Where in it, in [0, 1), it is to begin.

        The first one begins at the front, the others as far from each other as can be. One that `gives`
        nothing is not named to others.
        """
        key = image_id, index
        group = self._groups.setdefault(key, _Group())
        self._groups.move_to_end(key)
        for gone in [name for name, at in group.seen.items() if now - at > _REMEMBERED]:
            del group.seen[gone], group.starts[gone]
        if site not in group.starts:
            group.starts[site] = group.next * _GOLDEN % 1
            group.next += 1
        group.seen[site] = group.last = now
        group.hidden = group.hidden - {site} if gives else group.hidden | {site}
        self._forget(now)
        return group.starts[site]

    def others(self, image_id: str, index: str, site: str) -> list[str]:
        """The sites that have joined beside this one, the last ones first."""
        group = self._groups.get((image_id, index))
        if group is None:
            return []
        return sorted(group.seen.keys() - group.hidden - {site}, key=lambda name: -group.seen[name])

    def _forget(self, now: float) -> None:
        """Drop the images that nobody has asked for lately, and the oldest when there are too many."""
        while self._groups:
            oldest = next(iter(self._groups))
            if now - self._groups[oldest].last <= _REMEMBERED and len(self._groups) <= _MOST_IMAGES:
                return
            del self._groups[oldest]
