"""Signatures that cost little and come out of a seed: a keyed digest in place of Ed25519.

Whoever has the key can sign, and here everybody has it who can verify. So forgers in the simulator sign with
keys of their own, and the rules, which only ask whether a key has signed a text, are those of the product.
"""

import hashlib
import hmac

from skerry.core.signing import PublicKey, SigningKey


class SimPublicKey(PublicKey):
    """Verifies what `SimKey` has signed."""

    __slots__ = ()

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the owner of this key has signed `message`."""
        return hmac.compare_digest(_mac(self.raw, message), signature)


class SimKey(SigningKey):
    """The key that a name and a number make."""

    def __init__(self, name: str, number: int = 0) -> None:
        self.public = SimPublicKey(hashlib.sha256(f"{name}/{number}".encode()).digest())

    def become(self, other: SigningKey) -> None:
        """From now on sign as `other` does, wherever this one is held."""
        self.public = other.public

    def sign(self, message: bytes) -> bytes:
        """64 bytes that only this key can make."""
        return _mac(self.public.raw, message)


def _mac(key: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(message, key=key).digest()
