"""What travels in a feed: entries, and heads that sum them up, each signed by the home that wrote it.

A home writes *streams*: its records, which everybody may follow, and what it knows of its copies, which only
the sites above it do. Every change has the next revision of its stream. What is signed is text and stays as
it is on every site that hands it on, so that no site needs to be believed but the home.
Source of the attacks that this stands against: The Update Framework, specification 1.0, section 1.5.2.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from skerry.core.feed import digest
from skerry.core.signing import PublicKey, SigningKey
from skerry.core.wire import time_from_wire, time_to_wire

LONGEST = 1 << 20
"""Characters of one signed text: an image with as many properties and members as it may have fits easily."""


class Kind(StrEnum):
    """What an entry is about."""

    IMAGE = "image"
    SITE = "site"
    PLACEMENT = "placement"
    COPY = "copy"


class Channel(StrEnum):
    """The streams that each home writes."""

    RECORDS = "records"
    COPIES = "copies"


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """The journal of one home and channel; as text `lyon` or `lyon/copies`."""

    home: str
    channel: Channel = Channel.RECORDS

    def __str__(self) -> str:
        return self.home if self.channel is Channel.RECORDS else f"{self.home}/{self.channel}"

    @classmethod
    def parse(cls, text: str) -> "Stream":
        """Undo `str`. Raises ValueError."""
        home, _, channel = text.partition("/")
        if not home or channel == Channel.RECORDS:
            raise ValueError(f"{text!r:.100} names no stream")
        return cls(home, Channel(channel) if channel else Channel.RECORDS)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as its home has it: `body` is its document, or None when it is no more.

    `epoch` counts how often the home's journal was begun anew (after it was restored from a backup, say), and
    `revision` the changes since. What is `urgent` takes something away from somebody and travels first.
    """

    stream: Stream
    epoch: int
    revision: int
    kind: Kind
    id: str
    body: Mapping[str, Any] | None
    at: datetime
    urgent: bool = False

    @property
    def key(self) -> str:
        """The name of the object in its stream."""
        return object_key(self.kind, self.id)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream stood `at` a time: its last revision and the digest of all that lived in it then.

    Tombstones up to `horizon` are not kept any more. After `expires` it proves nothing about the present.
    """

    stream: Stream
    epoch: int
    revision: int
    digest: int
    at: datetime
    expires: datetime
    horizon: int = 0


@dataclass(frozen=True, slots=True)
class Signed:
    """Text that its home has signed, as it travels."""

    text: str
    signature: bytes

    def entry(self) -> Entry:
        """What the text says. Raises ValueError; whether it is true is another question (`vouched`)."""
        document = _document(self.text, "entry")
        body = document["body"]
        if body is not None and not isinstance(body, dict):
            raise ValueError("an entry's body is an object or null")
        return Entry(
            Stream.parse(document["stream"]),
            _count(document, "epoch"),
            _count(document, "revision"),
            Kind(document["kind"]),
            str(document["id"]),
            body,
            time_from_wire(document["at"]),
            bool(document["urgent"]),
        )

    def head(self) -> Head:
        """What the text says. Raises ValueError."""
        document = _document(self.text, "head")
        return Head(
            Stream.parse(document["stream"]),
            _count(document, "epoch"),
            _count(document, "revision"),
            int(document["digest"], 16),
            time_from_wire(document["at"]),
            time_from_wire(document["expires"]),
            _count(document, "horizon"),
        )


def sign_entry(entry: Entry, key: SigningKey) -> Signed:
    """Put an entry into words and sign its seal."""
    text = _text(
        {
            "type": "entry",
            "stream": str(entry.stream),
            "epoch": entry.epoch,
            "revision": entry.revision,
            "kind": entry.kind,
            "id": entry.id,
            "urgent": entry.urgent,
            "at": time_to_wire(entry.at),
            "body": entry.body,
        }
    )
    leaf = leaf_of(entry, text)
    return Signed(text, key.sign(seal(entry.stream, entry.epoch, entry.revision, entry.key, leaf)))


def seal(stream: Stream, epoch: int, revision: int, key: str, leaf: bytes) -> bytes:
    """What is signed of an entry: enough to vouch for it before somebody who may not read it.

    Of a tombstone, whose leaf is b"", all but its time and its urgency is vouched for.
    """
    return f"entry\n{stream}\n{epoch}\n{revision}\n{key}\n{leaf.hex()}".encode()


def leaf_of(entry: Entry, text: str) -> bytes:
    """What stands for an entry in the digest of its stream: nothing (b"") for a tombstone."""
    return digest.leaf(text) if entry.body is not None else b""


def vouched(message: bytes, signature: bytes, keys: tuple[PublicKey, ...]) -> bool:
    """Whether one of the home's keys has signed it."""
    return any(key.verifies(message, signature) for key in keys)


def sign_head(head: Head, key: SigningKey) -> Signed:
    """Put a head into words and sign them."""
    text = _text(
        {
            "type": "head",
            "stream": str(head.stream),
            "epoch": head.epoch,
            "revision": head.revision,
            "digest": f"{head.digest:x}",
            "at": time_to_wire(head.at),
            "expires": time_to_wire(head.expires),
            "horizon": head.horizon,
        }
    )
    return Signed(text, key.sign(text.encode()))


def object_key(kind: Kind, object_id: str) -> str:
    """The name of an object in a stream, from which nobody learns its id."""
    return hashlib.sha256(f"{kind}\n{object_id}".encode()).hexdigest()[:32]


def _text(document: Mapping[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


def _document(text: str, kind: str) -> Mapping[str, Any]:
    """The object that a text is. Raises ValueError, also for lack of a key."""
    if len(text) > LONGEST:
        raise ValueError(f"a signed text of {len(text)} characters")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(document, dict) or document.get("type") != kind:
        raise ValueError(f"no {kind}: {text!r:.100}")
    return _Strict(document)


def _count(document: Mapping[str, Any], name: str) -> int:
    value = document[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(f"{name}: {value!r:.100} counts nothing")
    return value


class _Strict(dict[str, Any]):
    """A dictionary whose lack of a key is a ValueError."""

    def __missing__(self, key: str) -> Any:
        raise ValueError(f"{key} is missing")
