"""The libzstd of the machine, which is often the one that qemu there uses; other than the one of `zstandard`.

Only its stable interface is used (zstd.h, "Advanced compression API", since 1.4.0).
"""

import ctypes
from collections.abc import Callable
from functools import cache

_LEVEL = 100  # ZSTD_c_compressionLevel


@cache
def compressor(level: int) -> Callable[[bytes | bytearray | memoryview], bytes] | None:
    """What makes one frame of a buffer; None where the machine has no such library."""
    try:
        library = ctypes.CDLL("libzstd.so.1")
        create, free, configure, compress, bound, failed = (
            getattr(library, f"ZSTD_{name}")
            for name in (
                "createCCtx",
                "freeCCtx",
                "CCtx_setParameter",
                "compress2",
                "compressBound",
                "isError",
            )
        )
    except (OSError, AttributeError):
        return None
    size = ctypes.c_size_t
    create.restype, create.argtypes = ctypes.c_void_p, []
    free.argtypes = [ctypes.c_void_p]
    configure.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    compress.restype, compress.argtypes = (
        size,
        [ctypes.c_void_p, ctypes.c_void_p, size, ctypes.c_char_p, size],
    )
    bound.restype, bound.argtypes = size, [size]
    failed.argtypes = [size]

    def compressed(data: bytes | bytearray | memoryview) -> bytes:
        context = create()
        if not context:
            raise MemoryError("libzstd has no memory")
        try:
            configure(context, _LEVEL, level)
            room = ctypes.create_string_buffer(bound(len(data)))
            count = compress(context, room, len(room), bytes(data), len(data))
        finally:
            free(context)
        if failed(count):
            raise MemoryError("libzstd could not compress")
        return room.raw[:count]

    return compressed
