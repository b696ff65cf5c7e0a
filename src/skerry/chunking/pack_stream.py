"""Packs behind each other, as they travel: each after its length in 4 bytes, little-endian; 0 ends them.

So one that breaks off is noticed, and nothing has to be known of a pack but where it ends.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from skerry.chunking.held import Held
from skerry.chunking.index import ImageIndex
from skerry.chunking.packs import Effort, Unpacking
from skerry.core.errors import InvalidInput, WrongBytes

_LENGTH = struct.Struct("<I")
END = _LENGTH.pack(0)
_LONGEST = 64 << 20
"""More than any pack has."""

MOST_BASES = 16


class Order(msgspec.Struct, frozen=True):
    """What a receiver asks for: chunks of the image whose index is `index`, for who holds the `bases` whole.

    Indexes are named by their digests, the most useful base first; `chunks` are runs as in a pack.
    """

    index: bytes
    chunks: tuple[int, ...]
    bases: tuple[bytes, ...] = ()
    effort: Effort = Effort.QUICK


def encode_order(order: Order) -> bytes:
    """The body of the request."""
    return msgspec.msgpack.encode(order)


def decode_order(body: bytes) -> Order:
    """Undo `encode_order`. Raises InvalidInput."""
    try:
        order = msgspec.msgpack.decode(body, type=Order)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"This is no order of packs: {error}.") from None
    if len(order.bases) > MOST_BASES or any(len(name) != 32 for name in (order.index, *order.bases)):
        raise InvalidInput(f"An order names one index and at most {MOST_BASES} bases, each by 32 bytes.")
    return order


def framed(pack: bytes) -> Sequence[bytes]:
    """A pack with its length in front."""
    return _LENGTH.pack(len(pack)), pack


class Arriving:
    """Takes a stream of packs as it comes, and gives the chunks in them, each checked against its id."""

    def __init__(self, name: str, index: ImageIndex, bases: Mapping[str, Held]) -> None:
        """As for `packs.Unpacking`."""
        self._of = name, index, bases
        self._pack = Unpacking(*self._of)
        self._length = bytearray()
        self._left = 0
        self.ended = False
        """Whether all packs have come."""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytearray]]:
        """(number, bytes) of the chunks that are whole now; to be exhausted. Raises as `Unpacking.feed`."""
        view = memoryview(data)
        while view:
            if not self._left:
                view = self._begin(view)
                continue
            part, view = view[: self._left], view[self._left :]
            self._left -= len(part)
            yield from self._pack.feed(bytes(part))
            if not self._left:
                self._pack.finish()
                self._pack = Unpacking(*self._of)

    def _begin(self, view: memoryview) -> memoryview:
        if self.ended:
            raise WrongBytes("More came behind the last pack.")
        lacking = _LENGTH.size - len(self._length)
        self._length += view[:lacking]
        if len(self._length) == _LENGTH.size:
            (self._left,) = _LENGTH.unpack(self._length)
            self._length.clear()
            self.ended = not self._left
            if self._left > _LONGEST:
                raise WrongBytes("A pack is too large.")
        return view[lacking:]
