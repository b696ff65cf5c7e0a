"""What this site has been told: which placements there are, and how it is seen as a site."""

from dataclasses import dataclass
from typing import Protocol

from skerry.catalog.journal import Journal
from skerry.core.errors import InvalidInput
from skerry.core.feed.entry import Kind, Stream
from skerry.core.placement.document import parse_one
from skerry.core.placement.rule import Placement, ranked
from skerry.core.placement.sites import Site, SiteState


@dataclass(frozen=True, slots=True)
class Directions:
    """The placements of the centre, and its sites."""

    placements: tuple[Placement, ...]
    """In the order in which they decide."""
    sites: tuple[Site, ...]


class Told(Protocol):
    """Where directions come from."""

    @property
    def version(self) -> object:
        """Two equal answers mean that nothing changed in between."""
        ...

    async def read(self) -> Directions:
        """The directions as they are now."""
        ...


class FromFeed:
    """The directions that the centre gives in its feed, at the centre and everywhere below it."""

    def __init__(self, journal: Journal, centre: Stream) -> None:
        self._journal = journal
        self._centre = centre

    @property
    def version(self) -> object:
        """See Told."""
        standing = self._journal.standing(self._centre)
        return standing.epoch, standing.revision, standing.round

    async def read(self) -> Directions:
        """See Told. A placement of a later version that makes no sense here is left out."""
        placements = await self._journal.objects(Kind.PLACEMENT, self._centre)
        sites = await self._journal.objects(Kind.SITE, self._centre)
        return Directions(
            ranked(placement for body in placements.values() if (placement := _placement(body)) is not None),
            tuple(_site(name, body) for name, body in sites.items()),
        )


def _placement(body: object) -> Placement | None:
    try:
        return parse_one(body)
    except InvalidInput:
        return None


def _site(name: str, body: object) -> Site:
    fields = body if isinstance(body, dict) else {}
    labels = fields.get("labels")
    draining = fields.get("state") == SiteState.DRAINING
    return Site(
        name,
        {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
        SiteState.DRAINING if draining else SiteState.ACTIVE,
    )
