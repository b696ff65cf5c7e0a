"""The records and pages in use, in memory."""

from collections.abc import Callable, Iterable, Mapping

from skerry.catalog.base import Page
from skerry.catalog.rows import Entry
from skerry.core.query import Query, Scope

Listing = tuple[Query, Scope]

_MOST_PAGES = 64
_LONGEST_PAGE = 100
"""Images on a page that is kept, so that pages cannot hold more than a few thousand images in memory."""


def _nobody(_: int) -> None:
    """Nobody is told."""


class Memory:
    """Entries by image id, up to `most`, and pages; never older than the last change that landed.

    Looking may happen on any thread; everything else on the event loop's.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[str, Entry] = {}
        self._pages: dict[Listing, Page] = {}
        self.revision = 0
        """The number of the last change that landed."""
        self.tell: Callable[[int], None] = _nobody
        """Hears of each revision that has landed here."""
        self.restarts = 0
        """How often all was forgotten, so that the same revision may mean something else."""

    def get(self, image_id: str) -> Entry | None:
        """The entry, when it is here."""
        return self._entries.get(image_id)

    def page(self, listing: Listing) -> Page | None:
        """What a list showed, if nothing has changed since."""
        return self._pages.get(listing)

    def learn_page(self, listing: Listing, page: Page, began: int) -> None:
        """Keep what a list showed, unless it is long or a change has landed since the reading began."""
        if self.revision == began and len(page.images) <= _LONGEST_PAGE:
            if len(self._pages) >= _MOST_PAGES:
                self._pages.clear()
            self._pages[listing] = page

    def learn(self, entries: Iterable[Entry], began: int) -> None:
        """Keep what was read, unless a change has landed since the reading began, at revision `began`."""
        if self.revision == began:
            for entry in entries:
                self._keep(entry)

    def follow(self, entry: Entry) -> None:
        """Keep what a transaction that has just landed wrote, or found unchanged."""
        self._keep(entry)
        self._advance(entry.image.revision)

    def forget(self, image_id: str, revision: int) -> None:
        """Follow a removal."""
        self._entries.pop(image_id, None)
        self._advance(revision)

    def catch_up(self, revision: int, changed: Mapping[str, int] | None) -> None:
        """Follow what somebody else has written up to `revision`: the newest revisions of what has changed.

        None: anything may have, also back to what it was before.
        """
        if changed is None:
            self._entries.clear()
            self.restarts += 1
        else:
            for image_id, newest in changed.items():
                entry = self._entries.get(image_id)
                if entry is not None and entry.image.revision < newest:
                    del self._entries[image_id]
        if changed is None or revision != self.revision:
            self.revision = revision
            self._pages.clear()

    def _advance(self, revision: int) -> None:
        if revision > self.revision:
            self.revision = revision
            self._pages.clear()
            self.tell(revision)

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.image.id] = entry
        if len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]
