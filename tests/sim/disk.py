"""What of a site survives a crash: its database, changed by transactions, and its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skerry.core.feed.entry import Stream
from skerry.core.feed.journal import Row, Standing
from skerry.core.image import Image
from skerry.core.placement.observed import Held, PinnedBy


@dataclass(frozen=True)
class Ledger:
    """A stream as it is held. Rows are never changed in place."""

    standing: Standing
    rows: Mapping[str, Row] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Copy:
    """The row of a copy: the fields of `Observed` that a database keeps."""

    image_id: str
    state: Held
    size: int
    durable: int = 0
    cached: bool = True
    pinned: bool = False
    placed: bool = False
    last_used: float = 0.0
    since: float = 0.0
    mirrored_by: str = ""
    keep: float | None = None
    unwanted_since: float | None = None

    @property
    def pinned_by(self) -> PinnedBy | None:
        """Who keeps it from eviction."""
        return PinnedBy.PERSON if self.pinned else PinnedBy.RULE if self.placed else None


@dataclass(frozen=True, slots=True)
class Record:
    """An image as the catalogue of a site has it."""

    home: str
    body: Mapping[str, Any]
    image: Image


@dataclass
class Database:
    """The tables. A transaction changes a copy of them, which takes their place when it lands."""

    ledgers: dict[Stream, Ledger] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)

    def begin(self) -> "Database":
        """A copy to be changed."""
        return Database(dict(self.ledgers), dict(self.records), dict(self.copies))


@dataclass(frozen=True, slots=True)
class File:
    """Bytes: how many, and whether they are those of the image."""

    size: int
    right: bool = True


@dataclass
class Disk:
    """All that survives."""

    database: Database = field(default_factory=Database)
    files: dict[str, File] = field(default_factory=dict)
    partials: dict[str, File] = field(default_factory=dict)
    full: bool = False
    """Whether something else has taken all free space."""

    def backup(self) -> Database:
        """The database as it is now; values never change, so the tables alone are copied."""
        return self.database.begin()

    def cut(self, image_id: str, size: int) -> None:
        """A partial file ends earlier."""
        if image_id in self.partials:
            self.partials[image_id] = replace(self.partials[image_id], size=size)
