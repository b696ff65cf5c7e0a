"""Signatures of sites: Ed25519 (RFC 8032). Computation alone; where keys are kept `identity` knows.

A site that stands alone signs nothing, and does not load what it would sign with.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What others know a site by; `raw` is 32 bytes."""

    raw: bytes

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the owner of this key has signed `message`."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return self.raw.hex()

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Undo `str`. Raises ValueError."""
        raw = bytes.fromhex(text)
        if len(raw) != 32:
            raise ValueError("a public key has 32 bytes")
        return cls(raw)


class SigningKey:
    """What a site signs with."""

    def __init__(self, private: "Ed25519PrivateKey") -> None:
        self.private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_secret(cls, secret: bytes) -> "SigningKey":
        """The one that these 32 bytes are."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.from_private_bytes(secret))

    def become(self, other: "SigningKey") -> None:
        """From now on sign as `other` does, wherever this one is held."""
        self.private, self.public = other.private, other.public

    def sign(self, message: bytes) -> bytes:
        """64 bytes that only this key can make."""
        return self.private.sign(message)
