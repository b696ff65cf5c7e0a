"""Packs: missing chunks on their way, compressed with held chunks that they are like in front of them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

import numpy as np

from skerry.chunking import pack_file
from skerry.chunking.held import Held, joined
from skerry.chunking.index import ImageIndex
from skerry.chunking.pack_file import Head
from skerry.chunking.packing import LARGE, MOST_PREFIX, Pack
from skerry.chunking.recipe import Numbers
from skerry.chunking.rules import MOST
from skerry.chunking.zstandard import zstd
from skerry.core.errors import WrongBytes

_MOST_CONTENT = LARGE + MOST

_Key = zstd.CompressionParameter


class Effort(Enum):
    """How hard a pack is compressed. With a prefix, QUICK takes a second for 120 MB of chunks, THOROUGH, for
    thin lines, for 30; without one, 65 and 35.

    Tables larger than zstd's own choice are what finds a likeness in a long prefix.
    """

    QUICK = "quick"
    THOROUGH = "thorough"

    def options(self, *, prefix: bool) -> dict[int, int]:
        """Parameters for zstd."""
        if prefix:
            level = 1 if self is Effort.QUICK else 9
            return {_Key.compression_level: level, _Key.hash_log: 22, _Key.chain_log: 22}
        level = 6 if self is Effort.QUICK else 9
        return {_Key.compression_level: level, _Key.enable_long_distance_matching: 1}


def pack(contents: Pack, target: Held, bases: Sequence[Held], effort: Effort) -> bytes:
    """A pack, made of the target image and the bases, which are here too. Raises StoreFailed or WrongBytes.

    Takes memory for the prefix, the chunks, and a window of both.
    """
    used = np.unique(contents.base)
    prefix = joined([(bases[base], contents.chunk[contents.base == base]) for base in used.tolist()])
    data = joined([(target, contents.chunks)])
    head = Head(
        bytes.fromhex(target.name),
        tuple(bytes.fromhex(bases[number].name) for number in used),
        tuple(pack_file.to_runs(contents.chunks)),
        tuple(pack_file.prefix_runs(np.searchsorted(used, contents.base), contents.chunk)),
    )
    options = effort.options(prefix=bool(prefix)) | {_Key.window_log: _window(len(prefix) + len(data))}
    in_front = zstd.ZstdDict(prefix, is_raw=True).as_prefix if prefix else None
    return pack_file.encode_head(head) + zstd.compress(data, options=options, zstd_dict=in_front)


class Unpacking:
    """Takes a pack as it comes, and gives the chunks in it, each checked against its id.

    A hostile pack costs no more memory than a good one: a window and a prefix, some 80 MB at most.
    """

    def __init__(self, name: str, index: ImageIndex, bases: Mapping[str, Held]) -> None:
        """For an image whose index is `name`; `bases` are held images by the names of theirs."""
        self._name = name
        self._index = index
        self._bases = bases
        self._start = bytearray()
        self._prefix: list[tuple[Held, Numbers]] = []
        self._unpacker: zstd.ZstdDecompressor | None = None
        self._coming: list[int] = []  # the last first
        self._chunk = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytearray]]:
        """(number, bytes) of the chunks that are whole now; to be exhausted before more is fed.

        Raises WrongBytes, whose `ids` name the `index` of a held image when that is damaged, else the sender
        lies; UnknownFormat; StoreFailed when a held image cannot be read.
        """
        if self._unpacker is None:
            self._start += data
            data = self._open()
        while self._unpacker is not None and self._coming:
            number = self._coming[-1]
            missing = int(self._index.length[number]) - len(self._chunk)
            try:
                part = b"" if self._unpacker.eof else self._unpacker.decompress(data, missing)
            except zstd.ZstdError:
                raise self._wrong(number) from None
            data = b""
            self._chunk += part
            if len(part) < missing:
                if part and not self._unpacker.needs_input:
                    continue
                return
            if hashlib.sha256(self._chunk).digest() != self._index.ids[number].tobytes():
                raise self._wrong(number)
            self._coming.pop()
            whole, self._chunk = self._chunk, bytearray()
            yield number, whole

    def finish(self) -> None:
        """There is no more. WrongBytes when the pack did not end."""
        if self._unpacker is None or self._coming:
            raise WrongBytes("A pack ended before its end.")

    def _open(self) -> bytes:
        """Begin with the chunks when the head is there. Returns what follows it."""
        start = pack_file.START.size
        if len(self._start) < start or len(self._start) < (
            end := start + pack_file.head_size(bytes(self._start[:start]))
        ):
            return b""
        head = pack_file.decode_head(bytes(self._start[start:end]))
        rest, self._start = bytes(self._start[end:]), bytearray()
        if head.target.hex() != self._name:
            raise WrongBytes("A pack is of another image.")
        chunks = pack_file.from_runs(head.chunks, self._index.count)
        self._prefix = self._named(head)
        prefix_size = sum(int(base.index.length[numbers].sum()) for base, numbers in self._prefix)
        size = int(self._index.length[chunks].sum())
        if prefix_size > MOST_PREFIX or size > _MOST_CONTENT:
            raise WrongBytes("A pack is too large.")
        prefix = joined(self._prefix)
        self._coming = chunks[::-1].tolist()
        self._unpacker = zstd.ZstdDecompressor(
            zstd_dict=zstd.ZstdDict(prefix, is_raw=True).as_prefix if prefix else None,
            options={zstd.DecompressionParameter.window_log_max: _window(prefix_size + size)},
        )
        return rest

    def _named(self, head: Head) -> list[tuple[Held, Numbers]]:
        try:
            bases = [self._bases[name.hex()] for name in head.bases]
        except KeyError:
            raise WrongBytes("A pack needs an image that is not here.") from None
        rows = pack_file.prefix_rows(head.prefix, [base.index.count for base in bases])
        return [(bases[number], numbers) for number, numbers in rows]

    def _wrong(self, number: int) -> WrongBytes:
        """Whose fault it is that a chunk came out wrong."""
        for base, numbers in self._prefix:
            for other in numbers.tolist():
                data = base.read(int(base.index.offset[other]), int(base.index.length[other]))
                if hashlib.sha256(data).digest() != base.index.ids[other].tobytes():
                    return WrongBytes("A held image is damaged.", index=base.name)
        return WrongBytes(f"Chunk {number} came with wrong bytes.")


def _window(size: int) -> int:
    return max(17, (size - 1).bit_length())
