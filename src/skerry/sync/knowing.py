"""What this site can say of any image at any site that it hears of."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime

from skerry.catalog.journal import Journal
from skerry.catalog.records import Records
from skerry.core.clock import Clock
from skerry.core.errors import NotFound
from skerry.core.feed.entry import Channel, Kind, Stream
from skerry.core.placement.explain import Evicted, Fact, explain
from skerry.core.placement.judgement import judge
from skerry.core.placement.knowledge import Heard, Knowledge, Report, Sync
from skerry.core.placement.observed import Held
from skerry.core.placement.planner import Planner
from skerry.core.placement.preflight import Preflight, preflight
from skerry.core.placement.reports import report_from_body
from skerry.core.placement.sites import Site
from skerry.sync.planning import Planning

OwnReports = Callable[[], Awaitable[dict[str, Report]]]
"""What this site knows of its own copies, at this moment."""


class Knowing:
    """Puts together what ought to be and what sites have said. Raises NotFound for what nobody has heard of.

    `silent_after` is in seconds: a site that has vouched for nothing for so long counts as silent.
    """

    def __init__(
        self,
        name: str,
        planning: Planning,
        records: Records,
        journal: Journal,
        own: OwnReports,
        clock: Clock,
        *,
        silent_after: float,
    ) -> None:
        self._name = name
        self._planning = planning
        self._records = records
        self._journal = journal
        self._own = own
        self._clock = clock
        self._silent_after = silent_after

    async def copies(
        self, *, site: str | None = None, image: str | None = None, states: Collection[Sync] = ()
    ) -> list[Knowledge]:
        """What is known of the copies at one site or all, of one image or all, in some states or all.

        Without an image, of those that are there, that ought to be, or that something is done about.
        """
        planner = await self._planning.current()
        sites = [_site(planner, site)] if site is not None else planner.sites
        found: list[Knowledge] = []
        for one in sorted(sites, key=lambda one: one.name):
            reports = await self.reports(one.name)
            about = {image} if image is not None else set(planner.wanted(one.name, ())) | reports.keys()
            found += self._judge(planner, one.name, sorted(about), reports)
        return [one for one in found if not states or one.sync.value in states]

    async def holders(self, image_id: str) -> list[str]:
        """The sites that have said that they have all of an image."""
        said = await self._journal.about(Kind.COPY, image_id, Channel.COPIES)
        reports = ((home, report_from_body(body, 0.0)) for home, body in said.items())
        return sorted(home for home, report in reports if report.copy and report.copy.state is Held.COMPLETE)

    async def explain(
        self, image_id: str, site: str, *, above: str | None, evicted: Evicted | None
    ) -> tuple[Knowledge, tuple[Fact, ...]]:
        """Why an image is at a site or not, and what happens next.

        `above` is the site from which it has its bytes, `evicted` what became of the last copy there.
        """
        planner = await self._planning.current()
        place = _site(planner, site)
        image = (await self._records.get(image_id)).image
        reports = await self.reports(site)
        (known,) = self._judge(planner, site, [image_id], reports)
        at_home = (image.home or self._name) == site
        source = "" if above is None or at_home else await self._source(image_id, site, above)
        facts = explain(planner, image, place, reports.get(image_id), known, source=source, evicted=evicted)
        return known, facts

    async def _source(self, image_id: str, site: str, above: str) -> str:
        others = [name for name in await self.holders(image_id) if name not in (site, above)]
        return f"{above}, the site above" + (f"; {len(others)} others have it as well" if others else "")

    async def preflight(self, site: str) -> Preflight:
        """Whether a site can be cut off."""
        planner = await self._planning.current()
        _site(planner, site)
        mirrored = planner.wanted(site, ())
        return preflight(site, self._judge(planner, site, sorted(mirrored), await self.reports(site)))

    def _judge(
        self, planner: Planner, site: str, images: Iterable[str], reports: dict[str, Report]
    ) -> list[Knowledge]:
        now, heard = self._clock.now().timestamp(), self._heard(site)
        ids = list(images)
        wanted = planner.wanted(site, ids)
        return [judge(one, site, wanted.get(one), reports.get(one), heard, now) for one in ids]

    async def reports(self, site: str) -> dict[str, Report]:
        """What a site has said last of each of its images."""
        if site == self._name:
            return await self._own()
        stream = Stream(site, Channel.COPIES)
        as_of = _seconds(self._journal.standing(stream).as_of) or 0.0
        said = await self._journal.objects(Kind.COPY, stream)
        return {image_id: report_from_body(body, as_of) for image_id, body in said.items()}

    def _heard(self, site: str) -> Heard:
        if site == self._name:
            return Heard(self._clock.now().timestamp(), self._silent_after)
        words = (self._journal.standing(Stream(site, channel)).as_of for channel in Channel)
        last = max((at for at in map(_seconds, words) if at is not None), default=None)
        return Heard(last, self._silent_after)


def _site(planner: Planner, name: str) -> Site:
    try:
        return planner.site(name)
    except KeyError:
        raise NotFound(f"There is no site {name}.", hint="`skerry site list` shows all.", site=name) from None


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
