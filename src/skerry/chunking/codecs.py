"""How clusters of an image are compressed, and whether this site makes the same bytes.

Two builds of a compressor rarely make the same bytes of all input, and never promise to. So a codec is named
by what it does: its parameters, and a digest of what it makes of test clusters. A site can make again what
another site has proved when it has a codec of that name.

Source of the parameters: qemu's block/qcow2-threads.c.
"""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from skerry.chunking import system_zstd
from skerry.chunking.zstandard import zstd
from skerry.core.errors import WrongBytes

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Codec:
    """`name` is the same at all sites at which `compress` makes the same bytes."""

    name: str
    compress: Callable[[Buffer], bytes]


def deflate(data: Buffer) -> bytes:
    """A cluster as qemu writes it with zlib."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -12, 9)
    return compressor.compress(data) + compressor.flush()


def squeeze(data: Buffer, *, level: int) -> bytes:
    """A cluster as qemu writes it with zstd."""
    return zstd.compress(data, level)


def inflate(family: str, data: Buffer, size: int) -> tuple[bytes, int] | None:
    """The `size` bytes that a stream at the start of `data` stands for, and the length of the stream.

    None when that is not what is there. Never makes more than `size + 1` bytes.
    """
    try:
        if family == "zlib":
            inflater = zlib.decompressobj(-15)  # other writers than qemu use the larger window
            plain = inflater.decompress(data, size + 1)
            ended, unused = inflater.eof, inflater.unused_data
        else:
            unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 22})
            plain = unpacker.decompress(data, size + 1)
            ended, unused = unpacker.eof, unpacker.unused_data if unpacker.eof else b""
    except (zlib.error, zstd.ZstdError):
        return None
    return (plain, len(data) - len(unused)) if ended and len(plain) == size else None


def restore(codec: str, data: Buffer, size: int) -> bytes:
    """The `size` bytes that `data`, made by a codec of that name, stands for. Or WrongBytes."""
    found = inflate(family(codec), data, size)
    if found is None or found[1] != len(data):
        raise WrongBytes("A compressed cluster is damaged.")
    return found[0]


def family(codec: str) -> str:
    """`zlib` or `zstd`; WrongBytes for what no version of this program knows."""
    name = codec.partition("/")[0]
    if name not in ("zlib", "zstd"):
        raise WrongBytes(f"{codec!r} is no codec that is known here.")
    return name


def candidates(family: str) -> tuple[Codec, ...]:
    """The codecs of this site that may have made a cluster, the likeliest first."""
    return tuple(codec for name, codec in known().items() if name.startswith(f"{family}/"))


@cache
def known() -> dict[str, Codec]:
    """All codecs that work at this site, by name. The first call tests them: some 50 ms."""
    ways: list[tuple[str, Callable[[Buffer], bytes] | None]] = [
        ("zlib/6", deflate),
        ("zstd/3", partial(squeeze, level=3)),
        ("zstd/3", system_zstd.compressor(3)),
        ("zstd/1", partial(squeeze, level=1)),
    ]
    found: dict[str, Codec] = {}
    for way, compress in ways:
        if compress is not None:
            codec = _tested(way, compress)
            found.setdefault(codec.name, codec)
    return found


def _tested(parameters: str, compress: Callable[[Buffer], bytes]) -> Codec:
    made = hashlib.sha256(b"".join(compress(cluster) for cluster in _test_clusters())).hexdigest()[:16]
    return Codec(f"{parameters}/{made}", compress)


@cache
def _test_clusters() -> tuple[bytes, ...]:
    """Words, a table, noise, far repeats, and shreds of all, and zeros; the same at all sites."""
    noise = hashlib.shake_256(b"skerry").digest(4 * _SIZE)
    words = [noise[17 * i : 17 * i + 1 + noise[i] % 9].hex().encode() for i in range(256)]
    text = b" ".join(words[min(a, b)] for a, b in zip(noise[:_SIZE], noise[_SIZE:], strict=False))[:_SIZE]
    table = b"".join(i.to_bytes(4, "little") + (i * i % 977).to_bytes(4, "little") for i in range(_SIZE // 8))
    far = (noise[:4000] + text[:30000] + noise[:4000] + bytes(9000) + text[5000:]).ljust(_SIZE)[:_SIZE]
    kinds = (text, table, noise, far)
    picks = (noise[i : i + 4] for i in range(0, 8000, 4))
    shreds = b"".join(kinds[k % 4][a * 250 : a * 250 + b + c] for k, a, b, c in picks)[:_SIZE]
    return (*kinds[:2], noise[:_SIZE], far, shreds, bytes(_SIZE))


_SIZE = 64 << 10
