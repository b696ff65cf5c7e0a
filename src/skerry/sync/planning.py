"""What ought to be, kept current with the directions and the records that this site has."""

import asyncio

from skerry.catalog.records import Records
from skerry.core.clock import Clock
from skerry.core.placement.planner import Planner
from skerry.core.placement.sites import Site
from skerry.sync.directions import Told


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
        version = self._told.version
        if version != self._followed:
            directions = await self._told.read()
            if directions.placements != self._planner.placements:
                self._planner = self._planner.with_placements(directions.placements)
            sites = {site.name: site for site in (Site(self._name), *directions.sites)}
            for site in self._planner.sites:
                if site.name not in sites:
                    self._planner.remove_site(site.name)
            for site in sites.values():
                self._planner.put_site(site)
            self._followed = version
        changes = await self._records.since(self._revision)
        for image in changes.images:
            self._planner.update(image)
        for image_id in changes.gone:
            self._planner.remove(image_id)
        self._revision = changes.revision
