"""Sends up what the sites of this part of the tree have written, as `sync.follower` does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skerry.core.errors import SkerryError, UpstreamFailed
from skerry.core.feed.entry import Stream
from skerry.core.feed.journal import Place
from skerry.core.feed.lines import Receipt
from skerry.core.feed.offer import has_newer_head, lacks
from skerry.core.retries import Backoff, Retries
from tests.sim.follower import FIRST_PAUSE, FIRST_REREAD, LAST_REREAD, LONGEST_PAUSE, PATIENCE
from tests.sim.journal import Given
from tests.sim.line import Line, Reply

if TYPE_CHECKING:
    from tests.sim.site import Site

LOOK = 60.0
"""Seconds between looks whether there are newer heads, and what is wanted above."""


class Sender:
    """One request after the other, or waiting until there is something to send."""

    def __init__(self, site: "Site", line: Line) -> None:
        self._site = site
        self._line = line
        self._backoff = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE, uniform=site.world.rng.uniform)
        self._refusals = Retries(first=FIRST_REREAD, longest=LAST_REREAD)
        self._places: dict[Stream, Place] | None = None
        self._idle = 0
        """Counts the waits; the present one is over when it has grown."""
        self._waiting = False
        self.refused: dict[Stream, str] = {}
        """Streams that the site above does not take, and why."""

    def step(self) -> None:
        """Send what the site above lacks, or wait until there is something."""
        if self._places is None:
            self._push({}, heads=True)
        elif not self._push_lacking(heads=False):
            self._wait()

    def wake(self) -> None:
        """Something has been written."""
        if self._waiting:
            self._waiting = False
            self._idle += 1
            self._site.after(0.0, self.step)

    def _wait(self) -> None:
        self._waiting = True
        self._idle += 1
        wait = self._idle

        def look() -> None:
            if self._waiting and self._idle == wait:
                self._waiting = False
                if not self._push_lacking(heads=True):
                    self._push({}, heads=True)

        self._site.after(LOOK, look)

    def _push_lacking(self, *, heads: bool) -> bool:
        known, journal = self._places or {}, self._site.journal
        pages: dict[Stream, Given] = {}
        for stream in self._up():
            place, standing = known.get(stream, Place()), journal.standing(stream)
            if not self._refusals.due(str(stream), self._site.world.now):
                continue
            if lacks(standing, place) or (heads and has_newer_head(standing, place)):
                pages[stream] = journal.page(stream, place, lambda row: True)
        if not pages:
            return False
        self._push(pages, heads=heads)
        return True

    def _push(self, pages: dict[Stream, Given], *, heads: bool) -> None:
        site = self._site
        sent = site.relay.pass_on(site, list(pages.values()))

        def receive(upper: "Site", reply: Reply) -> None:
            reply(upper.source.receive(site.name, sent))

        places = {stream: given.page.place for stream, given in pages.items()}
        self._line.call(
            receive,
            patience=PATIENCE,
            answered=lambda receipt: self._sent(receipt, places, heads=heads),
            failed=self._failed,
        )

    def _sent(self, receipt: Receipt, sent: dict[Stream, Place], *, heads: bool) -> None:
        site = self._site
        self._places = dict(receipt.places)
        for stream in sorted(receipt.refused):
            self._refusals.failed(str(stream), site.world.now)
        for stream in sorted(sent.keys() - receipt.refused.keys()):
            self._refusals.forget(str(stream))
        if sent:
            self.refused = dict(receipt.refused)
        site.cache.send_up(receipt.wants)
        stands = (receipt.places.get(stream, Place()) == place for stream, place in sent.items())
        if not heads and not receipt.refused and all(stands):
            self._failed(UpstreamFailed("The site above has taken nothing, and does not say why."))
            return
        self._backoff.succeeded()
        site.after(0.0 if sent else 0.5, self.step)

    def _failed(self, error: SkerryError) -> None:
        self._site.world.note(self._site.name, f"does not hear: {error}")
        self._places = None
        self._site.after(self._backoff.failed(), self.step)

    def _up(self) -> Sequence[Stream]:
        own = self._site.family.subtree(self._site.name)
        journal = self._site.journal
        return [stream for stream in journal.streams() if stream.home in own and not journal.is_empty(stream)]
