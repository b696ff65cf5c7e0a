"""What a site gives to the sites below it, and takes from them, as `sync.source` does."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skerry.core.errors import FeedRefused, Forbidden
from skerry.core.feed.entry import Channel, Stream
from skerry.core.feed.journal import Place
from skerry.core.feed.lines import Receipt
from skerry.core.feed.offer import has_newer_head, lacks
from tests.sim.journal import Given
from tests.sim.line import Reply

if TYPE_CHECKING:
    from tests.sim.site import Site

Places = Mapping[Stream, Place]


@dataclass
class _Waiter:
    """A follower that waits for news."""

    site: str
    places: Places
    but: Collection[Stream]
    reply: Reply


class Source:
    """Answers the sites below."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._waiters: list[_Waiter] = []

    def give(self, site: str, places: Places, *, but: Collection[Stream], wait: float, reply: Reply) -> None:
        """Answer with the next pages as soon as there are some, with newer heads after `wait` seconds."""
        waiter = _Waiter(site, places, but, reply)
        if not self._answer(waiter, lacks):
            self._waiters.append(waiter)
            self._site.after(wait, lambda: self._end(waiter))

    def wake(self) -> None:
        """There may be news: look when what happens now is over."""
        if self._waiters:
            self._site.after(0.0, self._look)

    def receive(self, site: str, pages: Sequence[Given]) -> Receipt:
        """Take what a site sends of its part of the tree. Raises Forbidden for a stream that is not of it."""
        own = self._site.family.subtree(site)
        refused: dict[Stream, str] = {}
        for given in pages:
            stream = given.page.stream
            if stream.home not in own:
                raise Forbidden(f"{site} has nothing to say about {stream.home}.")
            if stream in refused:
                continue
            try:
                taken = self._site.journal.take(given, self._site.family.keys(stream.home))
            except FeedRefused as why:
                self._site.world.note(self._site.name, f"refuses {stream} of {site}: {why}")
                refused[stream] = str(why)
                continue
            self._site.cache.tell_gone(taken.changes)
        known = [stream for stream in self._site.journal.streams() if stream.home in own]
        places = {stream: self._site.journal.standing(stream).place for stream in known}
        return Receipt(places, refused, self._site.cache.lacking(own))

    def _look(self) -> None:
        self._waiters = [waiter for waiter in self._waiters if not self._answer(waiter, lacks)]

    def _end(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            if not self._answer(waiter, has_newer_head):
                waiter.reply([])

    def _answer(self, waiter: _Waiter, has: Callable[..., bool]) -> bool:
        journal, family = self._site.journal, self._site.family
        wanted = [stream for stream in self._down(waiter.site) if stream not in waiter.but]
        found = [
            stream for stream in wanted if has(journal.standing(stream), waiter.places.get(stream, Place()))
        ]
        if not found:
            return False
        may_read = family.may_read(waiter.site)
        pages = [journal.page(stream, waiter.places.get(stream, Place()), may_read) for stream in found]
        waiter.reply(self._site.relay.pass_on(self._site, pages))
        return True

    def _down(self, site: str) -> list[Stream]:
        """The streams that a site follows here: what this site says itself comes first."""
        own = self._site.family.subtree(site)
        streams = (
            stream
            for stream in self._site.journal.streams()
            if stream.channel is Channel.RECORDS and stream.home not in own
        )
        return sorted(streams, key=lambda stream: (stream.home != self._site.name, stream))
