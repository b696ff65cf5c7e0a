"""The room at a site while a plan is made for it."""

from collections.abc import Iterable
from dataclasses import replace

from skerry.core.placement.observed import Capacity, Held, Observed


class Room:
    """What is left of the limit and of the disk, and the copies that may give way, the first one first."""

    def __init__(self, copies: Iterable[Observed], capacity: Capacity, victims: Iterable[Observed]) -> None:
        cached = [copy for copy in copies if copy.cached]
        self._left = capacity.limit - sum(copy.taken for copy in cached)
        if capacity.free is not None:
            promised = sum(copy.taken - copy.written for copy in cached)
            self._left = min(self._left, capacity.free - promised)
        self._victims = {copy.image_id: copy for copy in victims}

    def may_lose(self, image_id: str) -> bool:
        """Whether a copy may be evicted."""
        return image_id in self._victims

    def resize(self, image_id: str, size: int) -> None:
        """A copy that may be evicted takes so many bytes from now on."""
        self._victims[image_id] = replace(self._victims[image_id], state=Held.COMPLETE, size=size)

    def give_back(self, size: int) -> None:
        """A copy of so many bytes goes."""
        self._left += size

    def admit(self, need: int, *, may_evict: bool) -> list[Observed] | None:
        """Set so many bytes more aside; return what is evicted for it, or None when it cannot be."""
        chosen: list[Observed] = []
        left = self._left
        for copy in self._victims.values() if may_evict else ():
            if left >= need:
                break
            chosen.append(copy)
            left += copy.taken
        if left < need:
            return None
        self._left = left - need
        for copy in chosen:
            del self._victims[copy.image_id]
        return chosen
