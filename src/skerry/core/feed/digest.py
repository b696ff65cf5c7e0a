"""A digest of a set, to which one member can be added, or taken away, at a time.

The sum modulo 2^2048 of a hash of each member: the order plays no part, and a change costs the same whatever
the size of the set. So wide, because a narrower sum of hashes can be hit by a choice among many members
(Wagner, "A Generalized Birthday Problem", 2002; Bellare and Micciancio, "A New Paradigm for Collision-free
Hashing", 1997, for sums as set hashes).
"""

import hashlib

WIDTH = 256
"""Bytes of a leaf, and of a digest."""

_MODULUS = 1 << (8 * WIDTH)

EMPTY = 0
"""The digest of the set with nothing in it."""


def leaf(text: str) -> bytes:
    """What one member adds: SHAKE-256 of its text."""
    return hashlib.shake_256(text.encode()).digest(WIDTH)


def add(digest: int, member: bytes) -> int:
    """The digest of the set with one more leaf in it."""
    return (digest + int.from_bytes(member)) % _MODULUS


def remove(digest: int, member: bytes) -> int:
    """The digest of the set without one of its leaves."""
    return (digest - int.from_bytes(member)) % _MODULUS
