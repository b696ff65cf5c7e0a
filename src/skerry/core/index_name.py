"""How the index of an image is named. The index itself is `chunking`'s, which takes long to import."""

import hashlib


def index_name(file: bytes) -> str:
    """The name of an index by its file, in hex: what a record carries."""
    return hashlib.sha256(file).hexdigest()
