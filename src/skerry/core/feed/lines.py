"""Pages of the feed as lines of JSON, and what sites call each other with. Shared by both ends.

A page is a line that begins it, a line for each entry, and a line that ends it:

    {"stream": "centre", "epoch": 1, "place": "1:41:1767225600", "restart": false}
    {"entry": TEXT, "signature": BASE64}             "urgent": true when ahead of its turn
    {"veil": [REVISION, KEY, LEAF, SIGNATURE]}
    {"end": "centre", "more": false, "head": TEXT, "signature": BASE64}
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from skerry.core.feed.digest import LEAF
from skerry.core.feed.entry import Signed, Stream
from skerry.core.feed.journal import Page, Place, Veil

FEED = "/skerry/v1/feed"
"""GET it to follow, POST to it what the sites below have written.

GET has the query `after` (places), `but` (streams of which nothing is wanted now) and `wait` (seconds).
"""

CONTENT_TYPE = "application/jsonl"

PAGE = 500
"""Entries of one page, at most."""


def encode(page: Page) -> bytes:
    """The lines of a page."""
    lines: list[dict[str, Any]] = [
        {
            "stream": str(page.stream),
            "epoch": page.epoch,
            "place": _place_to_text(page.place),
            "restart": page.restart,
        },
        *({**_signed("entry", one), "urgent": True} for one in page.urgent),
        *(_item(one) for one in page.items),
        {"end": str(page.stream), "more": page.more, **(_signed("head", page.head) if page.head else {})},
    ]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def decode(lines: Iterable[bytes]) -> Iterator[Page]:
    """The pages that lines make. Raises ValueError; a page that breaks off is none."""
    begun: dict[str, Any] | None = None
    urgent: list[Signed] = []
    items: list[Signed | Veil] = []
    for line in lines:
        document = _object(line)
        if begun is None:
            begun, urgent, items = document, [], []
        elif "end" in document:
            head = _read(document, "head") if "head" in document else None
            yield Page(
                Stream.parse(_text(begun, "stream")),
                _number(begun.get("epoch")),
                _place_from_text(_text(begun, "place")),
                bool(begun.get("restart")),
                urgent,
                items,
                head,
                bool(document.get("more")),
            )
            begun = None
        elif len(urgent) + len(items) == 2 * PAGE:
            raise ValueError(f"a page of more than {2 * PAGE} entries")
        elif "veil" in document:
            items.append(_veil(document["veil"]))
        elif document.get("urgent"):
            urgent.append(_read(document, "entry"))
        else:
            items.append(_read(document, "entry"))


def places_to_query(places: Mapping[Stream, Place]) -> str:
    """Where a follower stands, as the value of `after`: `centre:1:41:1767225600,lyon:1:3:0*` (*: passing)."""
    return ",".join(f"{stream}:{_place_to_text(place)}" for stream, place in sorted(places.items()))


def places_from_query(text: str) -> dict[Stream, Place]:
    """Undo `places_to_query`. Raises ValueError."""
    places = {}
    for part in filter(None, text.split(",")):
        stream, _, place = part.partition(":")
        places[Stream.parse(stream)] = _place_from_text(place)
    return places


def streams_to_query(streams: Iterable[Stream]) -> str:
    """Streams as the value of `but`."""
    return ",".join(map(str, sorted(streams)))


def streams_from_query(text: str) -> frozenset[Stream]:
    """Undo `streams_to_query`. Raises ValueError."""
    return frozenset(Stream.parse(part) for part in text.split(",") if part)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to POST: where the upper site stands now, what it has refused and why, and the images of
    which it wants the bytes."""

    places: Mapping[Stream, Place]
    refused: Mapping[Stream, str]
    wants: Sequence[str]

    def to_wire(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "places": places_to_query(self.places),
            "refused": {str(stream): why for stream, why in self.refused.items()},
            "wants": list(self.wants),
        }

    @classmethod
    def from_wire(cls, document: Any) -> "Receipt":
        """Undo `to_wire`. Raises ValueError."""
        if not isinstance(document, dict):
            raise ValueError(f"no receipt: {document!r:.100}")
        refused, wants = document.get("refused", {}), document.get("wants", [])
        if not isinstance(refused, dict) or not isinstance(wants, list):
            raise ValueError(f"no receipt: {document!r:.100}")
        return cls(
            places_from_query(_text(document, "places")),
            {Stream.parse(stream): str(why) for stream, why in refused.items()},
            [one for one in wants if isinstance(one, str)],
        )


def _place_to_text(place: Place) -> str:
    return f"{place.epoch}:{place.revision}:{place.as_of}{'*' if place.passing else ''}"


def _place_from_text(text: str) -> Place:
    epoch, revision, as_of = text.split(":")
    return Place(_count(epoch), _count(revision), as_of.endswith("*"), _count(as_of.removesuffix("*")))


def _signed(name: str, signed: Signed) -> dict[str, Any]:
    return {name: signed.text, "signature": b64encode(signed.signature).decode()}


def _item(item: Signed | Veil) -> dict[str, Any]:
    if isinstance(item, Veil):
        leaf, signature = b64encode(item.leaf).decode(), b64encode(item.signature).decode()
        return {"veil": [item.revision, item.key, leaf, signature]}
    return _signed("entry", item)


def _object(line: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a line of a feed: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"not a line of a feed: {line!r:.100}")
    return document


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text, got {value!r:.100}")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(f"expected a count, got {value!r:.100}")
    return value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"expected a count, got {text!r:.100}")
    return _number(int(text[:20]))


def _read(document: Mapping[str, Any], name: str) -> Signed:
    return Signed(_text(document, name), b64decode(_text(document, "signature"), validate=True))


def _veil(value: Any) -> Veil:
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(x, str) for x in value[1:]):
        raise ValueError(f"not a veiled entry: {value!r:.100}")
    leaf = b64decode(value[2], validate=True)
    if len(leaf) not in (0, LEAF) or len(value[1]) != 32:
        raise ValueError("a veiled entry of another form")
    return Veil(_number(value[0]), value[1], leaf, b64decode(value[3], validate=True))
