"""Bytes that travel up, from the home of an image, as `transfer.sending` and `transfer.deposits` do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from skerry.core.errors import NoSpace, SkerryError, WrongBytes
from skerry.core.image import Image
from skerry.core.placement.observed import Held
from skerry.core.retries import Retries
from tests.sim.disk import File
from tests.sim.fetch import PARTS, PATIENCE
from tests.sim.line import Reply

if TYPE_CHECKING:
    from tests.sim.cache import Cache
    from tests.sim.site import Site


class Deposits:
    """What a site sends up, and what it takes from below."""

    def __init__(self, cache: "Cache") -> None:
        self._cache = cache
        self._wanted: list[str] = []
        self._sending = False
        self._retries = Retries(first=5.0, longest=600.0)

    # From below

    def wants(self, image: Image) -> bool:
        """Whether the bytes are wanted: they are not here, and there is room for them."""
        cache, site = self._cache, self._cache.site
        copy = cache.copies.get(image.id)
        if not image.has_data or (copy is not None and copy.state is Held.COMPLETE):
            return False
        return site.upstream is None or cache.can_hold(image)

    def stands(self, image_id: str) -> int | None:
        """How many bytes of a deposit are here; None when it is whole."""
        copy = self._cache.copies.get(image_id)
        if copy is None or copy.state is Held.QUEUED:
            return 0
        return None if copy.state is Held.COMPLETE else copy.durable

    def append(self, name: str, image_id: str, offset: int, part: File) -> int | None:
        """Go on with a deposit; returns where it `stands`. Raises NotFound, NoSpace, WrongBytes."""
        cache, site = self._cache, self._cache.site
        image = cache.check_home(name, image_id)
        if offset != self.stands(image_id):
            return self.stands(image_id)
        if offset == 0:
            if image_id in cache.fetches or not self.wants(image):
                raise NoSpace("There is no room for it.")
            promised = cache.copies.get(image_id)
            if site.upstream is not None and (promised is None or promised.state is not Held.PARTIAL):
                cache.make_room(image.size or 0, spare=cache.mirrored())
            with site.transaction() as tables:
                known = tables.copies.get(image_id) or cache.new(image)
                row = replace(known, state=Held.PARTIAL, size=image.size or 0, durable=0)
                tables.copies[image_id] = replace(row, cached=site.upstream is not None)
            site.disk.partials.pop(image_id, None)
            cache.check_limit()
        here = site.disk.partials.get(image_id, File(0))
        file = File(here.size + part.size, here.right and part.right)
        cache.checkpoint(image_id, file)
        if file.size < (image.size or 0):
            return file.size
        if not file.right or file.size > (image.size or 0):
            site.world.deeds["wrong bytes found out"] += 1
            cache.remove(image_id)
            raise WrongBytes(f"The deposit of {image_id} has another digest.")
        cache.keep(image_id, cached=site.upstream is not None)
        site.world.deeds["deposits"] += 1
        return None

    # Up

    def send_up(self, wanted: Sequence[str]) -> None:
        """The site above wants these now, and no others."""
        self._wanted = list(wanted)
        self._next()

    def _next(self) -> None:
        if self._sending:
            return
        for image_id in self._wanted:
            if self._cache.whole(image_id) and self._retries.due(image_id, self._cache.site.world.now):
                self._sending = True
                self._ask(image_id)
                return

    def _ask(self, image_id: str) -> None:
        line = self._cache.site.line
        assert line is not None

        def stands(upper: "Site", reply: Reply) -> None:
            reply(upper.cache.deposits.stands(image_id))

        line.call(
            stands,
            patience=PATIENCE,
            answered=lambda offset: self._send(image_id, offset),
            failed=lambda error: self._end(image_id, error),
        )

    def _send(self, image_id: str, offset: int | None) -> None:
        cache, site = self._cache, self._cache.site
        line, file, name = site.line, cache.whole(image_id), site.name
        if line is None or file is None or offset is None:
            self._end(image_id, None)
            return
        part = min(max(1, file.size // PARTS), file.size - offset)
        sent = site.relay.pass_bytes(site, File(part, file.right))
        cache.read(image_id, 5.0)

        def append(upper: "Site", reply: Reply) -> None:
            reply(upper.cache.deposits.append(name, image_id, offset, sent))

        line.call(
            append,
            patience=PATIENCE,
            answered=lambda reached: self._send(image_id, reached),
            failed=lambda error: self._end(image_id, error),
            size=part,
        )

    def _end(self, image_id: str, error: SkerryError | None) -> None:
        self._sending = False
        if error is not None:
            self._retries.failed(image_id, self._cache.site.world.now)
        else:
            self._retries.forget(image_id)
        self._wanted = [other for other in self._wanted if other != image_id]
        self._next()
