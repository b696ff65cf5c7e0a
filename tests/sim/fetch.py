"""Bringing the bytes of one image here from above, part by part, as `transfer.fetch` does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skerry.core.errors import Busy, NoSpace, NotFound, SkerryError, UpstreamAway, WrongBytes
from skerry.core.image import Image
from skerry.core.placement.observed import Held
from tests.sim.disk import File
from tests.sim.line import Line, Reply

if TYPE_CHECKING:
    from tests.sim.cache import Cache
    from tests.sim.site import Site

PARTS = 4
"""In how many parts an image comes; each is durable before the next is asked for."""

PATIENCE = 120.0
"""Seconds until a part has come."""


@dataclass
class Fetch:
    """An image on its way here. `wanted`: not only by a client. `waiting` hear how it ends."""

    image: Image
    wanted: bool
    waiting: list[Callable[[SkerryError | None], None]] = field(default_factory=list)


def start(cache: "Cache", image: Image, *, wanted: bool) -> None:
    """Begin to fetch, or go on. Raises UpstreamAway, NoSpace, Busy."""
    site = cache.site
    if image.id in cache.fetches:
        return
    if site.line is None:
        raise UpstreamAway(f"The bytes of {image.id} come from below, if at all.")
    copy = cache.copies.get(image.id)
    sent_up = not cache.source_of(site.disk.database.records[image.id])
    if copy is not None and (not copy.cached or (sent_up and copy.state is Held.PARTIAL)):
        raise Busy(f"Image {image.id} is on its way here from its home, or at home here.")
    wanted = wanted or (copy is not None and (copy.pinned or copy.state is Held.QUEUED))
    cache.admit(image)
    fetch = cache.fetches[image.id] = Fetch(image, wanted)
    _Part(cache, fetch, site.line).ask()


def give(cache: "Cache", image_id: str, offset: int, reply: Reply) -> None:
    """Answer a site below with the next part, once it is here.

    Raises NotFound, Busy, NoSpace, UpstreamAway.
    """
    site = cache.site
    record = site.disk.database.records.get(image_id)
    if record is None:
        raise NotFound(f"No image {image_id}.")
    file = cache.whole(image_id)
    cache.read(image_id, 30.0)
    if file is None:
        start(cache, record.image, wanted=False)
        cache.fetches[image_id].waiting.append(lambda error: _go_on(cache, image_id, offset, reply, error))
        return
    part = min(max(1, file.size // PARTS), file.size - offset)
    reply(site.relay.pass_bytes(site, File(part, file.right)))


def _go_on(cache: "Cache", image_id: str, offset: int, reply: Reply, error: SkerryError | None) -> None:
    """What a site below has waited for is here, or does not come."""
    try:
        if error is not None:
            raise error
        give(cache, image_id, offset, reply)
    except SkerryError as why:
        reply(why)


class _Part:
    """Asks for one part after the other."""

    def __init__(self, cache: "Cache", fetch: Fetch, line: Line) -> None:
        self._cache = cache
        self._fetch = fetch
        self._line = line

    def ask(self) -> None:
        image_id = self._fetch.image.id
        here = self._cache.site.disk.partials.get(image_id, File(0))

        def give_part(upper: "Site", reply: Reply) -> None:
            give(upper.cache, image_id, here.size, reply)

        size = (self._fetch.image.size or 0) / PARTS
        self._line.call(
            give_part,
            patience=PATIENCE,
            answered=lambda part: self._take(here, part),
            failed=self._fail,
            size=size,
        )

    def _take(self, here: File, part: File) -> None:
        cache, image = self._cache, self._fetch.image
        if cache.fetches.get(image.id) is not self._fetch:
            return
        file = File(here.size + part.size, here.right and part.right)
        try:
            cache.checkpoint(image.id, file)
            if file.size < (image.size or 0):
                self.ask()
                return
            if not file.right or file.size > (image.size or 0):
                cache.site.world.deeds["wrong bytes found out"] += 1
                raise WrongBytes(f"Image {image.id} has another digest.")
            cache.keep(image.id, cached=True)
            del cache.fetches[image.id]
            for waiter in self._fetch.waiting:
                waiter(None)
            cache.work()
        except SkerryError as error:
            self._fail(error)

    def _fail(self, error: SkerryError) -> None:
        """Keep what may be gone on from, and try again later what is wanted."""
        cache, image_id = self._cache, self._fetch.image.id
        if cache.fetches.get(image_id) is not self._fetch:
            return
        del cache.fetches[image_id]
        cache.site.world.note(cache.site.name, f"cannot fetch {image_id}: {error}")
        cache.failed(image_id, error)
        useless = isinstance(error, WrongBytes | NoSpace) or image_id not in cache.site.disk.partials
        copy = cache.copies.get(image_id)
        wanted = self._fetch.wanted or (copy is not None and copy.pinned)
        if isinstance(error, NotFound) or (useless and not wanted):
            cache.remove(image_id)
        elif useless and copy is not None:
            cache.requeue(image_id)
        for waiter in self._fetch.waiting:
            waiter(error)
