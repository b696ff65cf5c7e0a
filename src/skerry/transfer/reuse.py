"""What of an image is here in other images, and whether that is worth bringing it by its chunks."""

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass

from skerry.chunking import codecs, index_file
from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex
from skerry.chunking.plan import ChunkPlan, plan
from skerry.core.errors import UnknownFormat, WrongBytes
from skerry.core.image import Image
from skerry.transfer.chunks import Chunks
from skerry.transfer.whole import promised_digest

_MOST_HELD = 64
"""Images that are looked at for chunks."""

_FAST = 30e6
"""Bytes a second above which packing costs more time than it saves, unless much is held."""

_WORTH = 0.3
"""The share of an image that has to be held for it to come by its chunks over a fast line."""


@dataclass(frozen=True, slots=True, eq=False)
class Reuse:
    """The index of an image, those of what is held, and the plan when nothing of it has come."""

    index: ImageIndex
    held: list[Held]
    plan: ChunkPlan

    @property
    def share(self) -> float:
        """The share of the image that is held."""
        total = self.index.data_size
        return sum(self.plan.reused_bytes) / total if total else 0.0

    def useful(self, most: int) -> list[str]:
        """The names of indexes of what is held and gives anything, first what gives most."""
        worth = sorted(zip(self.plan.reused_bytes, self.held, strict=True), key=lambda each: -each[0])
        return [one.name for size, one in worth if size][:most]


def find(
    image: Image, size: int, index: bytes, chunks: Chunks, opened: ExitStack, without: Collection[str] = ()
) -> Reuse:
    """See what is held of the image whose index has the file `index`; `without` names indexes. Blocks.

    Raises UnknownFormat, also when this site cannot make the image's pieces, and WrongBytes when the index is
    of another image.
    """
    own = index_file.decode(index, size=size)
    if own.recipe.codec and own.recipe.codec not in codecs.known():
        raise UnknownFormat(f"This site cannot compress as {own.recipe.codec!r} does.")
    algorithm, expected = promised_digest(image)
    if algorithm == "sha512" and own.sha512.hex() != expected:
        raise WrongBytes("its index is of another image")
    held = opened.enter_context(chunks.holdings.open(chunks.similar(image)[:_MOST_HELD]))
    held = [one for one in held if one.name not in without]
    return Reuse(own, held, plan(own, [one.index for one in held]))


def why_whole(share: float, rate: float | None) -> str:
    """Why an image of which a share is held had better come whole over a line of that rate, else ""."""
    if rate is not None and rate > _FAST and share < _WORTH:
        return "the line is fast, and little of it is here"
    return ""
