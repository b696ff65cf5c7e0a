"""The file of an index: immutable, the same at all sites, known by its SHA-256 (`core.index_name`).

    8  magic "SKERRYIX"        8  bytes of the file       64  SHA-512 of the file
    4  version                 8  bytes of the view       64  codec, padded with zeros
    4  bytes of packed columns 8  of it the guest's disk   8  number of chunks    8  number of pieces
    packed columns: one zstd frame
    32 bytes for each chunk: the ids, which nothing makes smaller

All numbers are little-endian. A column is the differences to what is likely, so mostly zeros, with the
lowest bytes of all rows first, then the next. Chunks: gap to the one before, length. Pieces: made or not,
gap to the one before in the file, distance from the end of the one before in the view, bytes in the view,
and what those in the file differ by.
"""

import struct

import numpy as np

from skerry.chunking.index import MOST_CHUNKS, ImageIndex
from skerry.chunking.recipe import Numbers, Recipe, most_pieces
from skerry.chunking.zstandard import zstd
from skerry.core.errors import UnknownFormat, WrongBytes

MAGIC = b"SKERRYIX"
VERSION = 1
_HEAD = struct.Struct("<8sII3Q64s64s2Q")
_ROW_CHUNK, _ROW_PIECE = 12, 33
_LEVEL = 19


def most_bytes(image_size: int) -> int:
    """The size beyond which the index of an image is not read; the image is fetched whole then."""
    return min((1 << 20) + image_size // 128, 256 << 20)


def encode(index: ImageIndex) -> bytes:
    """The file of an index."""
    recipe = index.recipe
    view_end, file_end = recipe.view + recipe.span, recipe.at + recipe.length
    columns = (
        _planes(_gaps(index.offset, index.offset + index.length), 8),
        _planes(index.length, 4),
        recipe.made.astype(np.uint8).tobytes(),
        _planes(_gaps(recipe.at, file_end), 8),
        _planes(_gaps(recipe.view, view_end), 8),
        _planes(recipe.span, 8),
        _planes(recipe.span - recipe.length, 8),
    )
    packed = zstd.compress(b"".join(columns), _LEVEL)
    sizes = (recipe.file_size, recipe.view_size, index.guest_size)
    codec = recipe.codec.encode()
    head = _HEAD.pack(MAGIC, VERSION, len(packed), *sizes, index.sha512, codec, index.count, len(recipe.at))
    return head + packed + index.ids.tobytes()


def decode(data: bytes, *, size: int | None = None) -> ImageIndex:
    """The index of a file, for an image of `size` bytes if that is known.

    Raises UnknownFormat when it is of another version, whose image is fetched whole; WrongBytes when it is
    damaged or makes no sense. Takes memory in proportion to `data`, and 500 MB at most.
    """
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        raise WrongBytes("This is no index of an image.")
    _, version, packed, file_size, view_size, guest_size, sha512, codec, chunks, pieces = _HEAD.unpack_from(
        data
    )
    if version != VERSION:
        raise UnknownFormat(f"An index of version {version}; {VERSION} is known here.")
    if size not in (None, file_size):
        raise WrongBytes("This is the index of another image.")
    if (
        chunks > MOST_CHUNKS
        or pieces > most_pieces(file_size)
        or len(data) != _HEAD.size + packed + 32 * chunks
    ):
        raise WrongBytes("The index of an image is damaged.")
    rows = _unpacked(
        memoryview(data)[_HEAD.size : _HEAD.size + packed], _ROW_CHUNK * chunks + _ROW_PIECE * pieces
    )
    gap, length = rows.column(chunks, 8), rows.column(chunks, 4)
    made = rows.column(pieces, 1).astype(np.bool_)
    at_gap, view_gap, span, less = (rows.column(pieces, 8) for _ in range(4))
    with np.errstate(over="ignore"):
        at, view = _places(at_gap, span - less), _places(view_gap, span)
        recipe = Recipe(file_size, view_size, _text(codec), at, span - less, view, span, made)
        ids = np.frombuffer(data, np.uint8, 32 * chunks, _HEAD.size + packed).reshape(chunks, 32)
        return ImageIndex(sha512, guest_size, recipe, _places(gap, length), length, ids)


def _gaps(start: Numbers, end: Numbers) -> Numbers:
    """How far each begins from the end of the one before."""
    before: Numbers = np.concatenate([np.zeros(1, np.int64), end[:-1]])[: len(start)]
    return start - before


def _places(gap: Numbers, length: Numbers) -> Numbers:
    """Undo `_gaps`. Overflows silently: what comes of it makes no sense, and that is checked."""
    return np.cumsum(gap + length) - length


def _planes(column: Numbers, width: int) -> bytes:
    return column.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].T.tobytes()


class _Rows:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def column(self, count: int, width: int) -> Numbers:
        planes = np.frombuffer(self._data, np.uint8, count * width, self._at).reshape(width, count)
        self._at += count * width
        whole = np.zeros((count, 8), np.uint8)
        whole[:, :width] = planes.T
        return np.frombuffer(whole, np.dtype("<i8")).astype(np.int64)


def _unpacked(packed: memoryview, size: int) -> _Rows:
    unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 27})
    try:
        data = unpacker.decompress(packed, size + 1)
    except zstd.ZstdError as error:
        raise WrongBytes("The index of an image is damaged.") from error
    if len(data) != size or not unpacker.eof or unpacker.unused_data:
        raise WrongBytes("The index of an image is damaged.")
    return _Rows(data)


def _text(codec: bytes) -> str:
    try:
        return codec.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        raise WrongBytes("The index of an image is damaged.") from None
