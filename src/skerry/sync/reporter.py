"""Tell the sites above what there is of each image here: entries of this site's own stream of copies."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection

from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.core.feed.entry import Channel, Kind
from skerry.core.placement.knowledge import Report, Transfer
from skerry.core.placement.observed import Observed
from skerry.core.placement.plan import Plan
from skerry.core.placement.reports import report_to_body
from skerry.transfer.fetch import Fetch

_AT_A_TIME = 500
"""Entries that are written in one transaction."""


def reports(here: Iterable[Observed], fetches: Iterable[Fetch], plan: Plan, now: float) -> dict[str, Report]:
    """What there is to say of each image that is here, on its way, or in the plan."""
    copies = {copy.image_id: copy for copy in here}
    transfers = {
        fetch.image.id: Transfer(fetch.done, fetch.size, fetch.began, verifying=fetch.done >= fetch.size)
        for fetch in fetches
    }
    steps = {step.image_id: step for step in (*plan.actions, *plan.blocked)}
    return {
        image_id: Report(now, copies.get(image_id), transfers.get(image_id), steps.get(image_id))
        for image_id in copies.keys() | transfers.keys() | steps.keys()
    }


class Reporter:
    """Writes what has changed since the last time, and nothing else."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal
        self._said: dict[str, Mapping[str, Any]] | None = None

    async def report(self, known: Mapping[str, Report]) -> None:
        """Say what is known now; what is not in it any more is gone."""
        if self._said is None:
            self._said = await self._journal.objects(Kind.COPY, self._journal.own(Channel.COPIES))
        bodies: dict[str, Mapping[str, Any]] = {
            image_id: report_to_body(report) for image_id, report in known.items()
        }
        news: list[tuple[str, Mapping[str, Any] | None]] = [
            (image_id, body) for image_id, body in bodies.items() if self._said.get(image_id) != body
        ]
        news += [(image_id, None) for image_id in self._said.keys() - bodies.keys()]
        for first in range(0, len(news), _AT_A_TIME):
            await self._database.write(partial(self._enter, news[first : first + _AT_A_TIME]))
        self._said = bodies

    def _enter(self, news: Iterable[tuple[str, Mapping[str, Any] | None]], connection: Connection) -> None:
        for image_id, body in news:
            self._journal.write_on(connection, Kind.COPY, image_id, body, channel=Channel.COPIES)
