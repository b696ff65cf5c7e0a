"""What is true whatever sites believe, and what must hold at each step.

The homes tell it what they sign, and the persons what they decide; everybody else is measured against that.
"""

from collections.abc import Iterable, Mapping

from skerry.core.feed.entry import Stream
from skerry.core.feed.follow import Taken
from skerry.core.feed.journal import Row


class BrokenPromise(AssertionError):
    """Something happened that must never happen."""


class Truth:
    """All that homes have ever signed, and the newest that each site has seen."""

    def __init__(self) -> None:
        self._signed: set[tuple[Stream, int, int, str, bytes]] = set()
        self._buried: dict[tuple[Stream, int, str], int] = {}
        self._begun: dict[Stream, set[int]] = {}
        self._seen: dict[str, dict[tuple[Stream, str], tuple[int, int]]] = {}

    def signs(self, row: Row, stream: Stream) -> None:
        """A home signs an entry."""
        self._signed.add((stream, row.epoch, row.revision, row.key, row.leaf))
        if not row.leaf:
            key = (stream, row.epoch, row.key)
            self._buried[key] = max(self._buried.get(key, 0), row.revision)

    def begins(self, stream: Stream, epoch: int) -> None:
        """A person begins a new epoch of a stream."""
        self._begun.setdefault(stream, set()).add(epoch)

    def goes_back(self, site: str, held: Iterable[tuple[Stream, Row]]) -> None:
        """A site was restored from a backup: it remembers no more than it holds."""
        self._seen[site] = {(stream, row.key): (row.epoch, row.revision) for stream, row in held}

    def takes(
        self, site: str, stream: Stream, before: Mapping[str, Row], taken: Taken, forgotten: Iterable[Row]
    ) -> None:
        """A site takes a page: nothing forged, nothing older than seen, nothing forgotten without a cause."""
        seen = self._seen.setdefault(site, {})
        for row in taken.rows:
            if (stream, row.epoch, row.revision, row.key, row.leaf) not in self._signed:
                raise BrokenPromise(
                    f"{site} took what {stream} never signed: {row.kind} {row.id} {row.revision}"
                )
            at = (row.epoch, row.revision)
            if at < seen.get((stream, row.key), (0, 0)):
                raise BrokenPromise(f"{site} took {stream} {row.id} of {at}, older than seen before")
            seen[stream, row.key] = at
            old = before.get(row.key)
            if old is not None and old.leaf and not row.leaf and row.signed is None:
                self._check_forgotten(site, stream, old, taken.standing.epoch)
        for row in forgotten:
            self._check_forgotten(site, stream, row, taken.standing.epoch)

    def _check_forgotten(self, site: str, stream: Stream, row: Row, epoch: int) -> None:
        """Its home has deleted it after all, or a person has begun the home's journal anew without it."""
        deleted = self._buried.get((stream, row.epoch, row.key), 0) > row.revision
        begun = epoch != row.epoch and epoch in self._begun.get(stream, ())
        if not deleted and not begun:
            raise BrokenPromise(f"{site} forgot {row.id} of {stream}, which nobody has deleted")
