"""What ought to be, kept current with the directions and the records that this site has."""

import asyncio

from skerry.catalog.records import Changes, Records
from skerry.core.clock import Clock
from skerry.core.placement.planner import Planner
from skerry.core.placement.rule import Placement
from skerry.core.placement.sites import Site
from skerry.sync.directions import Directions, Told


class Planning:
    """A planner for all sites that this one has heard of, itself (`name`) among them in any case."""

    def __init__(self, name: str, told: Told, records: Records, clock: Clock) -> None:
        self._name = name
        self._told = told
        self._records = records
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._planner = Planner((), (), (), clock.now().timestamp())
        self._current: object = None
        self._followed: object = None
        self._revision = 0

    @property
    def version(self) -> object:
        """Two equal answers mean that nothing it depends on has changed in between, but for time."""
        return self._told.version, self._records.revision

    @property
    def last(self) -> Planner:
        """The planner as `current` has left it."""
        return self._planner

    async def current(self) -> Planner:
        """The planner, as of now. It is the same one each time, as long as the placements are."""
        async with self._one_at_a_time:
            version = self.version
            if version != self._current:
                await self._follow()
                self._current = version
            self._planner.advance(self._clock.now().timestamp())
        return self._planner

    async def _follow(self) -> None:
        told = self._told.version
        directions = await self._told.read() if told != self._followed else None
        changes = await self._records.since(self._revision)
        placements = self._planner.placements if directions is None else directions.placements
        if placements != self._planner.placements or not self._revision:
            await self._begin_anew(placements, changes)
        else:
            for image in changes.images:
                self._planner.update(image)
            for image_id in changes.gone:
                self._planner.remove(image_id)
        if directions is not None:
            self._know(directions)
        self._followed, self._revision = told, changes.revision

    async def _begin_anew(self, placements: tuple[Placement, ...], changes: Changes) -> None:
        """Make another planner, on a thread: with many images it takes seconds, and others are answered."""
        images = {image.id: image for image in (*self._planner.selection.images, *changes.images)}
        for image_id in changes.gone:
            images.pop(image_id, None)
        now = self._clock.now().timestamp()
        self._planner = await asyncio.to_thread(
            Planner, placements, self._planner.sites, images.values(), now
        )

    def _know(self, directions: Directions) -> None:
        sites = {site.name: site for site in (Site(self._name), *directions.sites)}
        for site in self._planner.sites:
            if site.name not in sites:
                self._planner.remove_site(site.name)
        for site in sites.values():
            self._planner.put_site(site)
