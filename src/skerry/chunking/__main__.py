"""`python -m skerry.chunking FILE SHA512`: write the index of an image and its sketch to standard output.

A site has this done by a process of its own: that takes its time behind all others, gives its memory back,
and when an image defeats it nothing else does. `SHA512` is that of the file in hex, or "-" to have it found
out. Written are 8 bytes, the length of the index's file, little-endian; that file; and the sketch's.
"""

import hashlib
import os
import struct
import sys
from pathlib import Path

from skerry.chunking import index_file, making, sketch
from skerry.core.errors import SkerryError

LENGTH = struct.Struct("<Q")

_NICE = 10


def main() -> None:
    """Do it. Ends with 1 and a line on standard error when it cannot be done."""
    path, digest = sys.argv[1:]
    os.nice(_NICE)
    with Path(path).open("rb") as file:
        sha512 = hashlib.file_digest(file, "sha512").digest() if digest == "-" else bytes.fromhex(digest)
        try:
            index, features = making.index_and_sketch(file.fileno(), sha512)
        except SkerryError as error:
            sys.exit(str(error))
    made = index_file.encode(index)
    for part in (LENGTH.pack(len(made)), made, sketch.encode(features)):
        sys.stdout.buffer.write(part)


if __name__ == "__main__":
    main()
