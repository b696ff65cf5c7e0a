"""A site's images as chunks: what it holds of them, and the packs that it makes for others.

`chunking` takes a while to import, and its memory stays. A site that needs none of it goes without.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from skerry.catalog.copies import Copies
from skerry.core.copy import CopyState
from skerry.stores.base import Store

if TYPE_CHECKING:
    from skerry.transfer.holdings import Holdings
    from skerry.transfer.packs import PackMaker

_PACKED = 1 << 30
"""Bytes of packs that are kept, in case that others ask for the same."""


class Chunks:
    """What is made when it is needed first. `folder` is for packs."""

    def __init__(self, store: Store, copies: Copies, folder: Path) -> None:
        self.store = store
        self._copies = copies
        self._folder = folder

    def name_of(self, image_id: str) -> str | None:
        """The name of the index of an image that is whole here, if it has one."""
        copy = self._copies.get(image_id)
        return copy.index or None if copy is not None and copy.state is CopyState.COMPLETE else None

    @property
    def any(self) -> bool:
        """Whether any image here has an index."""
        return any(copy.index for copy in self._copies.all())

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
