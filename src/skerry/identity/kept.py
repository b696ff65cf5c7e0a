"""Callers of checked tokens in a file, so that they are known after a restart of the site as well.

`tokens.json` holds callers by the digest of their token, never a token; `tokens.key` holds the key of those
digests, which are worth nothing without it. Both are for this user alone (mode 0600), and a cache: without
them, every token is checked once more.
"""

import logging
import secrets
from pathlib import Path

import msgspec

from skerry.core.caller import Caller
from skerry.identity.durable import replace_file

_log = logging.getLogger(__name__)
_KEY_BYTES = 32


class Snapshot(msgspec.Struct):
    """What was known `as_of` a moment, in seconds since the epoch."""

    as_of: float = 0.0
    callers: dict[bytes, Caller] = {}


_snapshot = msgspec.json.Decoder(Snapshot)


class Kept:
    """The two files, in `folder`. What goes wrong with them is said in the log, and stops nobody.

    One process saves; others, which do not `save`, begin with what it has saved.
    """

    def __init__(self, folder: Path, *, saves: bool = True) -> None:
        self._saves = saves
        self._path = folder / "tokens.json"
        self._failure = ""
        self.key = self._read_key(folder / "tokens.key")
        """The key under which the digests of `tokens.json` are made."""

    def load(self) -> Snapshot:
        """What was saved last; nothing when it cannot be used."""
        try:
            return _snapshot.decode(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            _log.warning("%s cannot be used: %s. All tokens are checked once more.", self._path, error)
        return Snapshot()

    def save(self, snapshot: Snapshot) -> bool:
        """Replace the file, durably; whether that was possible. Blocks."""
        failure = ""
        if not self._saves:
            return True
        try:
            replace_file(self._path, msgspec.json.encode(snapshot))
        except OSError as error:
            failure = str(error)
        if failure and failure != self._failure:
            _log.warning("%s: tokens checked lately are forgotten with a restart: %s", self._path, failure)
        self._failure = failure
        return not failure

    def _read_key(self, path: Path) -> bytes:
        try:
            key = path.read_bytes() if path.exists() else b""
            if len(key) != _KEY_BYTES:
                key = secrets.token_bytes(_KEY_BYTES)
                replace_file(path, key)
            return key
        except OSError as error:
            _log.warning("%s: what is known of tokens is forgotten with a restart: %s", path, error)
            return secrets.token_bytes(_KEY_BYTES)
