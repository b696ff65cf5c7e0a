"""A site's images as chunks: what it holds of them, and the packs that it makes for others.

`chunking` takes a while to import, and its memory stays. A site that needs none of it goes without.
"""

import math
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.core.copy import Copy, CopyState
from skerry.core.image import Image
from skerry.stores.base import Store

if TYPE_CHECKING:
    from skerry.transfer.holdings import Holdings
    from skerry.transfer.packs import PackMaker

_PACKED = 1 << 30
"""Bytes of packs that are kept, in case that others ask for the same."""


class Chunks:
    """What is made when it is needed first. `folder` is for packs."""

    def __init__(self, store: Store, copies: Copies, records: Records, folder: Path) -> None:
        self.store = store
        self._copies = copies
        self._records = records
        self._folder = folder

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

        return PackMaker(self.holdings, Packed(self._folder, _PACKED))


def _alike(one: str, other: str) -> int:
    """How many letters two names begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
