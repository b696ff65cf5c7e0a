"""A site's images as chunks: what it holds of them, and the packs that it makes for others.

`chunking` takes a while to import, and its memory stays. A site that needs none of it goes without.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.core.copy import Copy, CopyState
from skerry.core.image import Image
from skerry.stores.base import Store

if TYPE_CHECKING:
    from skerry.chunking.part import Part
    from skerry.chunking.recipe import Numbers
    from skerry.transfer.holdings import Holdings
    from skerry.transfer.packs import PackMaker

_PACKED = 1 << 30
"""Bytes of packs that are kept, in case that others ask for the same."""

_MOST_ASKED, _SMALL = 8, 2 << 20
"""Indexes that are kept for images that have not begun to come, and bytes of one."""


class Growing(Protocol):
    """An image of which some chunks are here, and others come."""

    name: str
    """That of its index."""
    index: bytes
    """The file of that."""

    @property
    def stored(self) -> "Numbers":
        """The chunks that are here, ascending."""
        ...

    @property
    def coming(self) -> "Numbers":
        """The chunks that are about to be, ascending."""
        ...

    def want(self, offset: int) -> None:
        """Somebody waits for this byte of the file."""
        ...

    def part(self) -> "Part":
        """What is here, to be read while the rest comes; to be closed."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """The file of an index that upstream has sent, and at how many bytes a second it came, 0 for unknown."""

    index: bytes
    rate: float


class Chunks:
    """What is made when it is needed first. `folder` is for packs."""

    def __init__(self, store: Store, copies: Copies, records: Records, folder: Path) -> None:
        self.store = store
        self._copies = copies
        self._records = records
        self._folder = folder
        self.growing: dict[str, Growing] = {}
        """Images that come by their chunks at this moment, by their ids."""
        self._asked: OrderedDict[str, Asked] = OrderedDict()

    def keep(self, image_id: str, asked: Asked) -> None:
        """Keep the index of an image that may come soon, if it is small."""
        if len(asked.index) <= _SMALL:
            self._asked[image_id] = asked
            while len(self._asked) > _MOST_ASKED:
                self._asked.popitem(last=False)

    def recall(self, image_id: str, *, drop: bool = True) -> Asked | None:
        """What was kept of an image; it is dropped, as who begins to fetch it has it from then on."""
        return self._asked.pop(image_id, None) if drop else self._asked.get(image_id)

    def name_of(self, image_id: str) -> str | None:
        """The name of the index of an image that is whole here, if it has one."""
        copy = self._copies.get(image_id)
        return copy.index or None if copy is not None and copy.state is CopyState.COMPLETE else None

    def similar(self, image: Image) -> list[str]:
        """Images that are whole here and have an index: first what may be an older version of this one.

        By what the records say: names that begin alike, then sizes that are near, then the last used.
        """
        found = [copy for copy in self._copies.all() if copy.index and copy.image_id != image.id]

        def unlike(copy: Copy) -> tuple[int, float, float]:
            known = self._records.cached(copy.image_id)
            alike = _alike(known.name or "", image.name or "") if known is not None else 0
            return -alike, abs(math.log2(max(copy.size or 1, 1) / max(image.size or 1, 1))), -copy.last_used

        return [copy.image_id for copy in sorted(found, key=unlike)]

    @cached_property
    def holdings(self) -> "Holdings":
        """The images that are whole here."""
        from skerry.transfer.holdings import Holdings

        return Holdings(self.store, self._copies)

    @cached_property
    def maker(self) -> "PackMaker":
        """What makes packs of them."""
        from skerry.transfer.packed import Packed
        from skerry.transfer.packs import PackMaker

        return PackMaker(self.holdings, self.growing, Packed(self._folder, _PACKED))


def _alike(one: str, other: str) -> int:
    """How many letters two names begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
