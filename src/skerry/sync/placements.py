"""The placements of all sites, as the centre keeps them: shown, tried out, and replaced."""

from collections.abc import Sequence

from sqlalchemy import Connection

from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.core.feed.entry import Kind
from skerry.core.placement.document import dump_one
from skerry.core.placement.proposal import Proposal, propose
from skerry.core.placement.rule import Placement
from skerry.sync.knowing import Knowing
from skerry.sync.planning import Planning


class Placements:
    """All of them are replaced together, so that what was shown before is what happens."""

    def __init__(self, planning: Planning, knowing: Knowing, database: Database, journal: Journal) -> None:
        self._planning = planning
        self._knowing = knowing
        self._database = database
        self._journal = journal

    async def all(self) -> tuple[Placement, ...]:
        """The placements, in the order in which they decide."""
        return (await self._planning.current()).placements

    async def propose(self, placements: Sequence[Placement]) -> Proposal:
        """What would change if these were all the placements."""
        planner = await self._planning.current()
        held = {}
        for site in planner.sites:
            said = await self._knowing.reports(site.name)
            held[site.name] = {
                image_id for image_id, report in said.items() if report.copy and report.copy.cached
            }
        return propose(planner, placements, held)

    async def replace(self, placements: Sequence[Placement], fingerprint: str) -> Proposal:
        """Make these all the placements, at the centre, as the proposal with this fingerprint said.

        Raises Conflict when it would say something else by now.
        """
        proposal = await self.propose(placements)
        proposal.check(fingerprint)
        new = {placement.name: dump_one(placement) for placement in placements}

        def work(connection: Connection) -> None:
            known = self._journal.objects_on(connection, Kind.PLACEMENT)
            for name in sorted(known.keys() - new.keys()):
                self._journal.write_on(connection, Kind.PLACEMENT, name, None)
            for name, document in new.items():
                if known.get(name) != document:
                    self._journal.write_on(connection, Kind.PLACEMENT, name, document)

        await self._database.write(work)
        return proposal
