"""Memory of credentials that were checked, without the credentials."""

import hashlib
import secrets
from collections.abc import ItemsView
from typing import Generic, TypeVar

T = TypeVar("T")


class Seen(Generic[T]):
    """What was found out about credentials. Holds `most` at most; the longest unchanged is forgotten first.

    Credentials are kept as keyed digests only (BLAKE2b as a MAC, under `secret`, or a key of this process),
    so that a dump of the memory gives none away and looking one up tells nothing by its time.
    """

    def __init__(self, most: int, secret: bytes | None = None) -> None:
        self._most = most
        self._secret = secret or secrets.token_bytes(32)
        self._known: dict[bytes, T] = {}

    def key(self, credential: str) -> bytes:
        """The digest that stands for `credential`, which may be any text that came in a header."""
        text = credential.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, key=self._secret, digest_size=24).digest()

    def get(self, key: bytes) -> T | None:
        """What is known, or None."""
        return self._known.get(key)

    def put(self, key: bytes, value: T) -> None:
        """Remember, forgetting the oldest when there is no room."""
        self._known.pop(key, None)
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[key] = value

    def drop(self, key: bytes) -> None:
        """Forget."""
        self._known.pop(key, None)

    def items(self) -> ItemsView[bytes, T]:
        """All that is known, the longest unchanged first."""
        return self._known.items()

    def __len__(self) -> int:
        return len(self._known)
