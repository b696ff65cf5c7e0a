"""An index on the line, for who holds the index of a similar image: one zstd frame, with that as its prefix.

Ids that both have travel as runs. What arrives is the file of the index, so its digest decides.
"""

from skerry.chunking.zstandard import zstd
from skerry.core.errors import WrongBytes

_LEVEL = 9
_MOST_WINDOW = 27


def shorten(data: bytes, held: bytes) -> bytes:
    """The file of an index, for who has the file `held`."""
    key = zstd.CompressionParameter
    window = min(max(17, (len(data) + len(held)).bit_length()), _MOST_WINDOW)
    options: dict[int, int] = {key.compression_level: _LEVEL, key.window_log: window}
    return zstd.compress(data, options=options, zstd_dict=zstd.ZstdDict(held, is_raw=True).as_prefix)


def lengthen(short: bytes, held: bytes, most: int) -> bytes:
    """Undo `shorten`. WrongBytes when it is damaged, or more than `most` bytes come of it."""
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _MOST_WINDOW}
    unpacker = zstd.ZstdDecompressor(zstd.ZstdDict(held, is_raw=True).as_prefix, options)
    try:
        data = unpacker.decompress(short, most + 1)
    except zstd.ZstdError:
        raise WrongBytes("The index of an image is damaged.") from None
    if len(data) > most or not unpacker.eof:
        raise WrongBytes("The index of an image is damaged.")
    return data
