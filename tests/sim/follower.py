"""Follows the site above, as `sync.follower` does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skerry.core.errors import FeedRefused, SkerryError, UpstreamFailed
from skerry.core.feed.entry import Channel, Stream
from skerry.core.feed.journal import Place, Standing
from skerry.core.retries import Backoff, Retries
from tests.sim.journal import Given
from tests.sim.line import Line, Reply

if TYPE_CHECKING:
    from tests.sim.site import Site

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
FIRST_REREAD, LAST_REREAD = 10.0, 600.0
WAIT = 30.0
LEAST_POLL = 1.0
PATIENCE = 15.0
"""Seconds; they mean what they mean in `sync.follower`."""


class Follower:
    """One poll after the other."""

    def __init__(self, site: "Site", line: Line) -> None:
        self._site = site
        self._line = line
        self._rereads = Retries(first=FIRST_REREAD, longest=LAST_REREAD)
        self._troubled: set[Stream] = set()
        self._backoff = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE, uniform=site.world.rng.uniform)
        self.trouble = "It has not asked yet."
        """Why the site above does not answer; empty when it does."""

    def step(self) -> None:
        """Ask what is new."""
        site = self._site
        began = site.world.now
        own = site.family.subtree(site.name)
        paused = {stream for stream in self._troubled if not self._rereads.due(str(stream), began)}
        places: dict[Stream, Place] = {
            stream: site.journal.standing(stream).place
            for stream in site.journal.streams()
            if stream.channel is Channel.RECORDS and stream.home not in own and stream not in paused
        }
        wait = min(WAIT, self._rereads.wait(began) or WAIT)

        def give(upper: "Site", reply: Reply) -> None:
            upper.source.give(site.name, places, but=paused, wait=wait, reply=reply)

        self._line.call(
            give,
            patience=wait + PATIENCE,
            answered=lambda pages: self._take(pages, began),
            failed=self._failed,
        )

    def _failed(self, error: SkerryError) -> None:
        self.trouble = str(error)
        self._site.world.note(self._site.name, f"cannot follow: {error}")
        self._site.after(self._backoff.failed(), self.step)

    def _take(self, pages: Sequence[Given], began: float) -> None:
        before = self._stand(pages)
        try:
            for given in pages:
                self._take_one(given)
            if (
                pages
                and self._stand(pages) == before
                and not any(given.page.stream in self._troubled for given in pages)
            ):
                raise UpstreamFailed("The site above gives what is here already.")
        except SkerryError as error:
            self._failed(error)
            return
        self.trouble = ""
        self._backoff.succeeded()
        pause = 0.0 if pages else max(0.0, began + LEAST_POLL - self._site.world.now)
        self._site.after(pause, self.step)

    def _take_one(self, given: Given) -> None:
        site, stream = self._site, given.page.stream
        try:
            if stream.channel is not Channel.RECORDS or stream.home in site.family.subtree(site.name):
                raise FeedRefused(f"{stream} is not followed from above.", trouble="forged")
            keys = site.family.keys(stream.home)
            if not keys:
                raise FeedRefused(f"{stream.home} is not known here, nor how it signs.", trouble="forged")
            taken = site.journal.take(given, keys)
        except FeedRefused as why:
            site.world.note(site.name, f"refuses {stream}: {why}")
            site.world.deeds[f"refused: {why.trouble}"] += 1
            self._troubled.add(stream)
            self._rereads.failed(str(stream), site.world.now)
            return
        if taken.standing.trouble is None and not taken.standing.reason:
            self._troubled.discard(stream)
            self._rereads.forget(str(stream))
        site.cache.tell_gone(taken.changes)

    def _stand(self, pages: Sequence[Given]) -> list[Standing]:
        return [self._site.journal.standing(given.page.stream) for given in pages]
