"""Finds out who has an image besides upstream: sites below the same one, which tell each other by it."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from skerry.core.errors import InvalidInput, SkerryError
from skerry.core.site import check_name, check_url
from skerry.transfer.way import UPSTREAM
from skerry.upstream.client import UpstreamImages
from skerry.upstream.link import NO_ANSWER

if TYPE_CHECKING:
    from skerry.chunking.recipe import Flags
    from skerry.transfer.gather import Packs

log = logging.getLogger(__name__)

_EVERY = 1.0
"""Seconds between the rounds in which sources are asked what they have."""

_SOON, _OFTEN, _LONG, _SELDOM = 3, 5, 30, 20
"""Upstream is asked who there is in the first rounds, as others may begin at the same moment, then in each
fifth, and after the thirtieth in each twentieth: it forgets who says nothing for a minute."""

_MOST = 4
"""Siblings that one image comes from at the same time."""

_MOST_NAMED = 64
_PATIENCE = 3.0
"""Seconds that a sibling has to say what it has."""

Connect = Callable[[str, str], UpstreamImages]
"""From the name of a site and the URL at which it listens to sites, to its images."""


class Hears(Protocol):
    """Who hears what sources there are. Chunks are flags of all of the image's."""

    wanted: int | None
    """The byte of the file that a client waits for here."""

    def begin_at(self, start: float) -> None:
        """Where in the image, in [0, 1), this site begins, so that siblings bring different parts."""
        ...

    def offered(
        self, name: str, packs: "Packs | None", has: "Flags | None", coming: "Flags | None" = None
    ) -> None:
        """What a source has (None is all of it), and is about to have; for UPSTREAM `packs` is None."""
        ...

    def withdrawn(self, name: str, why: str) -> None:
        """A sibling is no source any more."""
        ...


class Place(msgspec.Struct, frozen=True):
    """Another site that has the image or parts of it."""

    name: str
    url: str


class Met(msgspec.Struct, frozen=True):
    """What upstream says of others; `start` as for `Hears.begin_at`."""

    start: float
    sites: tuple[Place, ...]


@dataclass(slots=True, eq=False)
class _Known:
    """What somebody has of the image; None is all of it. `news`: it was asked, and answered."""

    images: UpstreamImages
    has: "Flags | None" = None
    coming: "Flags | None" = None
    whole: bool = False
    news: bool = False


class Siblings:
    """Of one site. `received` counts bytes of images that have come from siblings since the start."""

    def __init__(self, upstream: UpstreamImages, connect: Connect | None, *, gives: bool) -> None:
        """Without `connect` there are no siblings, only an upstream that may have images in part.

        `gives`: this site is a source for them as well.
        """
        self._gives = gives
        self.upstream = upstream
        self._connect = connect
        self._clients: dict[Place, UpstreamImages] = {}
        self.received = 0

    @property
    def possible(self) -> bool:
        """Whether this site can have siblings."""
        return self._connect is not None

    async def watch(self, image_id: str, index: str, chunks: int, hears: Hears) -> None:
        """Tell what sources there are, UPSTREAM at last, and each time that it changes, until cancelled."""
        await _Watch(self, image_id, index, chunks, hears).run()

    async def meet(self, image_id: str, index: str, *, gives: bool = True) -> Met:
        """Say that the image is here, or about to be, and hear who else has it. Nobody when it fails.

        Without `gives` nobody is told to ask this site for it.
        """
        if self._connect is not None:
            with suppress(*NO_ANSWER, SkerryError):
                body = await self.upstream.meet(
                    image_id, msgspec.json.encode({"index": index, "gives": gives and self._gives})
                )
                if body is not None:
                    return _met(body)
        return Met(0.0, ())

    async def have(self, image_id: str, index: str, chunks: int) -> "dict[str, Flags | None]":
        """What siblings have of the image now, None for all of it; nobody is told that it is wanted."""
        met = await self.meet(image_id, index, gives=False)
        known = [(place.name, _Known(self.images(place))) for place in met.sites[:_MOST]]
        asked = (_look(one, image_id, index, chunks, None) for _, one in known)
        why = await asyncio.gather(*asked)
        return {name: one.has for (name, one), wrong in zip(known, why, strict=True) if not wrong}

    def images(self, place: Place) -> UpstreamImages:
        """The images of a sibling."""
        assert self._connect is not None
        if place not in self._clients:
            self._clients[place] = self._connect(place.name, place.url)
        return self._clients[place]

    async def close(self) -> None:
        """Ask nobody any more."""
        for client in self._clients.values():
            await client.link.close()
            await client.session.close()


class _Watch:
    """Of one image."""

    def __init__(self, siblings: Siblings, image_id: str, index: str, chunks: int, hears: Hears) -> None:
        self._siblings = siblings
        self._image = image_id
        self._index = index
        self._chunks = chunks
        self._hears = hears
        self._known: dict[str, _Known] = {}
        self._upstream = _Known(siblings.upstream)
        self._told = False

    async def run(self) -> None:
        rounds = 0
        while True:
            meets = rounds < _SOON or rounds % (_OFTEN if rounds < _LONG else _SELDOM) == 0
            met, _ = await asyncio.gather(self._meet() if meets else _nobody(), self._look(self._upstream))
            if met is not None:
                self._hears.begin_at(met.start)
                self._choose(met)
            await asyncio.gather(*(self._ask(name, known) for name, known in list(self._known.items())))
            if not self._told or self._upstream.news:
                self._hears.offered(UPSTREAM, None, self._upstream.has, self._upstream.coming)
                self._told = True
            rounds += 1
            await asyncio.sleep(_EVERY * random.uniform(0.8, 1.2))

    async def _meet(self) -> Met | None:
        return await self._siblings.meet(self._image, self._index)

    def _choose(self, met: Met) -> None:
        """Take up others until there are enough."""
        new = [place for place in met.sites if place.name not in self._known]
        random.shuffle(new)
        for place in new[: max(0, _MOST - len(self._known))]:
            with suppress(SkerryError):
                self._known[place.name] = _Known(self._siblings.images(place))

    async def _ask(self, name: str, known: _Known) -> None:
        """See what a sibling has; one that does not say is none."""
        if why := await self._look(known):
            del self._known[name]
            self._hears.withdrawn(name, why)
        elif known.news:
            self._hears.offered(name, known.images, known.has, known.coming)

    async def _look(self, known: _Known) -> str:
        return await _look(known, self._image, self._index, self._chunks, self._hears.wanted)


async def _look(known: _Known, image_id: str, index: str, chunks: int, wanted: int | None) -> str:
    """See what somebody has. Returns why that is not known, or nothing."""
    known.news = False
    if known.whole:
        return ""
    try:
        body = await known.images.presence(image_id, wanted, patience=_PATIENCE)
        if body is None:
            return "it does not say what it has of it"
        from skerry.chunking.presence import decode

        known.has, known.coming = decode(body, index, chunks)
    except (*NO_ANSWER, SkerryError) as error:
        return str(error) or type(error).__name__
    known.whole, known.news = known.has is None, True
    return ""


async def _nobody() -> None:
    return None


def _met(body: bytes) -> Met:
    """What upstream says. Raises InvalidInput for what makes no sense."""
    try:
        met = msgspec.json.decode(body, type=Met)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"What upstream says of other sites makes no sense: {error}.") from None
    for place in met.sites:
        check_name(place.name)
        check_url(place.url)
    return Met(min(max(met.start, 0.0), 0.999), met.sites[:_MOST_NAMED])
