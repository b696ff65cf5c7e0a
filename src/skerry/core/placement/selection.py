"""Which placements select which images: by what they are, their ages, and the rest of their families."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from skerry.core.image import Image, Status
from skerry.core.placement.groups import Groups, ImageGroup
from skerry.core.placement.newest import Newest
from skerry.core.placement.rule import Placement
from skerry.core.placement.wish import Wish


class Change(NamedTuple):
    """Images that went from one group to another: (before, after) by id; None where an image is in none."""

    moved: dict[str, tuple[ImageGroup | None, ImageGroup | None]]


@dataclass(slots=True)
class Known:
    """What is known of an image: its record, and what follows from it."""

    image: Image
    size: int
    created: float
    mask: int
    """The placements that select it, but for those that select the newest of a family."""
    changes_at: float
    """When it gets too old or old enough for a placement."""
    group: ImageGroup | None


class Selection:
    """The images that have data, in groups, at one moment. `placements` are in the order of their ranks."""

    def __init__(self, placements: Sequence[Placement], images: Iterable[Image], now: float) -> None:
        self.groups = Groups()
        self.now = now
        self._newest = {
            number: Newest(rule.images.newest)
            for number, rule in enumerate(placements)
            if rule.images.newest is not None
        }
        self._selectors = [
            (1 << number, rule.images, rule.images.is_timed, self._newest.get(number))
            for number, rule in enumerate(placements)
        ]
        self._wishing = sum(1 << number for number, rule in enumerate(placements) if rule.sites.wished)
        self.known: dict[str, Known] = {}
        self._alarms: list[tuple[float, str]] = []
        for image in sorted(images, key=lambda image: image.created_at):
            if image.has_data:
                self._look_at(image)
        self._settle(self.known)

    @property
    def images(self) -> list[Image]:
        """All images."""
        return [known.image for known in self.known.values()]

    def image(self, image_id: str) -> Image | None:
        """An image, or None when it is not known or has no data."""
        known = self.known.get(image_id)
        return known.image if known else None

    def group(self, image_id: str) -> ImageGroup | None:
        """The group of an image, or None when it is not known or has no data."""
        known = self.known.get(image_id)
        return known.group if known else None

    def update(self, image: Image) -> Change:
        """Add an image, or say what has become of it."""
        if not image.has_data:
            return self.remove(image.id)
        known = self.known.get(image.id)
        before = known.group if known else None
        if known is not None:
            self._leave(known)  # with the size that it had
        change = self._settle({image.id} | self._look_at(image))
        after = self.known[image.id].group
        change.moved[image.id] = (before, after)
        if before == after:
            del change.moved[image.id]
        return change

    def remove(self, image_id: str) -> Change:
        """Forget an image; no error when there is none."""
        known = self.known.get(image_id)
        if known is None:
            return Change({})
        before = known.group
        self._leave(known)
        del self.known[image_id]
        concerned: set[str] = set()
        for newest in self._newest.values():
            concerned |= newest.put(image_id, None, 0, counts=False)
        change = self._settle(concerned - {image_id})
        change.moved[image_id] = (before, None)
        return change

    def next_change(self) -> float | None:
        """When `advance` has something to do, unless an image changes before; None for never."""
        while self._alarms and not self._is_set(*self._alarms[0]):
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def advance(self, now: float) -> Change:
        """Let it hold for the moment `now`; when the clock was set back, all images are looked at again."""
        due: list[str] = []
        if now < self.now:
            due, self._alarms = list(self.known), []
        self.now = now
        while self._alarms and self._alarms[0][0] <= now:
            alarm = heapq.heappop(self._alarms)
            if self._is_set(*alarm):
                due.append(alarm[1])
        concerned = set(due)
        for image_id in due:
            concerned |= self._look_at(self.known[image_id].image)
        return self._settle(concerned)

    def is_newest(self, image_id: str, number: int) -> bool:
        """Whether the placement of rank `number` finds an image among the newest, or does not ask."""
        return number not in self._newest or image_id in self._newest[number]

    def _look_at(self, image: Image) -> set[str]:
        """Note which placements select an image; return the images whose place in a family has changed."""
        mask, changes_at = 0, inf
        concerned: set[str] = set()
        created = image.created_at.timestamp()
        for bit, selector, is_timed, newest in self._selectors:
            selected = selector.unmet(image) is None
            if selected and is_timed:
                begin, end = selector.span(image)
                changes_at = min([changes_at, *(moment for moment in (begin, end) if moment > self.now)])
                selected = begin <= self.now < end
            if newest is not None:
                family = selector.family_of(image) if selected else None
                counts = image.status is Status.ACTIVE
                concerned |= newest.put(image.id, family, created, counts=counts)
            elif selected:
                mask |= bit
        group = known.group if (known := self.known.get(image.id)) else None
        self.known[image.id] = Known(image, image.size or 0, created, mask, changes_at, group)
        if changes_at != inf:
            heapq.heappush(self._alarms, (changes_at, image.id))
        return concerned

    def _settle(self, concerned: Iterable[str]) -> Change:
        """Put images into the groups to which they belong now."""
        moved: dict[str, tuple[ImageGroup | None, ImageGroup | None]] = {}
        for image_id in concerned:
            known = self.known[image_id]
            before, after = known.group, self._belongs_to(known)
            if before != after:
                self._leave(known)
                known.group = after
                self.groups.add(after, image_id, known.size)
                moved[image_id] = (before, after)
        return Change(moved)

    def _belongs_to(self, known: Known) -> ImageGroup:
        mask = known.mask
        for number, newest in self._newest.items():
            if known.image.id in newest:
                mask |= 1 << number
        wish = Wish.of(known.image) if mask & self._wishing else None
        return ImageGroup(mask, wish, known.image.status is Status.DEACTIVATED)

    def _leave(self, known: Known) -> None:
        if known.group is not None:
            self.groups.take(known.group, known.image.id, known.size)
            known.group = None

    def _is_set(self, moment: float, image_id: str) -> bool:
        known = self.known.get(image_id)
        return known is not None and known.changes_at == moment
