"""Which chunks of an image are at a site, as sites tell each other: msgpack of a `Presence`."""

import msgspec
import numpy as np

from skerry.chunking.pack_file import to_runs
from skerry.chunking.recipe import Flags, Numbers
from skerry.core.errors import WrongBytes


class Presence(msgspec.Struct, frozen=True):
    """Of the image whose index has the name `index` (32 bytes), all chunks are `here`, or those of the runs.

    `coming` are about to be. Runs are as in a pack.
    """

    index: bytes
    here: tuple[int, ...] | None = None
    coming: tuple[int, ...] = ()


def encode_whole(index: str) -> bytes:
    """All of the image is there."""
    return msgspec.msgpack.encode(Presence(bytes.fromhex(index)))


def encode_part(index: str, here: Numbers, coming: Numbers) -> bytes:
    """Some chunks are, whose numbers are ascending."""
    return msgspec.msgpack.encode(
        Presence(bytes.fromhex(index), tuple(to_runs(here)), tuple(to_runs(coming)))
    )


def decode(body: bytes, index: str, count: int) -> tuple[Flags | None, Flags]:
    """(what is here, None for all; what is coming) of an image of `count` chunks. Or WrongBytes."""
    try:
        said = msgspec.msgpack.decode(body, type=Presence)
    except msgspec.DecodeError as error:
        raise WrongBytes("What a site says that it has makes no sense.") from error
    if said.index.hex() != index:
        raise WrongBytes("A site has another index of the image.")
    return None if said.here is None else _flags(said.here, count), _flags(said.coming, count)


def _flags(runs: tuple[int, ...], count: int) -> Flags:
    found = np.zeros(count, np.bool_)
    if len(runs) % 2 or min(runs, default=0) < 0 or sum(runs) > count:
        raise WrongBytes("What a site says that it has makes no sense.")
    end = 0
    for gap, length in zip(runs[::2], runs[1::2], strict=True):
        found[end + gap : end + gap + length] = True
        end += gap + length
    return found
