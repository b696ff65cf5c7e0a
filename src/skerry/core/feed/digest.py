"""A digest of a set, to which one member can be added, or taken away, at a time.

The sum modulo 2^2048 of a hash of each member: the order plays no part, and a change costs the same whatever
the size of the set. So wide, because a narrower sum of hashes can be hit by a choice among many members
(Wagner, "A Generalized Birthday Problem", 2002; Bellare and Micciancio, "A New Paradigm for Collision-free
Hashing", 1997, for sums as set hashes).
"""

import hashlib

WIDTH = 256
"""Bytes of a digest."""

LEAF = 32
"""Bytes that stand for a member."""

_MODULUS = 1 << (8 * WIDTH)

EMPTY = 0
"""The digest of the set with nothing in it."""


def leaf(text: str) -> bytes:
    """What stands for one member: SHA-256 of its text."""
    return hashlib.sha256(text.encode()).digest()


def add(digest: int, member: bytes) -> int:
    """The digest of the set with one more leaf in it; b"" adds nothing."""
    return (digest + _summand(member)) % _MODULUS


def remove(digest: int, member: bytes) -> int:
    """The digest of the set without one of its leaves."""
    return (digest - _summand(member)) % _MODULUS


def _summand(member: bytes) -> int:
    return int.from_bytes(hashlib.shake_256(member).digest(WIDTH)) if member else 0
