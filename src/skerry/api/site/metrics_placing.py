"""What ought to be at this site and how far it is, as numbers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from skerry.api.context import Site
from skerry.api.site.metrics_families import gauge
from skerry.core.errors import NotFound
from skerry.core.placement.knowledge import Health, Knowledge, Sync


async def known_here(site: Site) -> Sequence[Knowledge]:
    """What is known of the copies at this site; nothing where no placements are, or it is not known yet."""
    if site.placing is None or site.feed is None:
        return ()
    try:
        return await site.placing.knowing.copies(site=site.feed.family.name)
    except NotFound:
        return ()


def of_placing(site: Site, known: Sequence[Knowledge]) -> Iterator[Metric]:
    """What there is to say at a site that goes by placements."""
    yield _by(
        "skerry_placement_copies_sync", "Copies here, or that ought to be.", "sync",
        Sync, Counter[str](one.sync.value for one in known),
    )  # fmt: skip
    yield _by(
        "skerry_placement_copies_health", "Whether something is wrong with them.", "health",
        Health, Counter[str](one.health.value for one in known),
    )  # fmt: skip
    if site.placing is not None and site.placing.reconciler is not None:
        hold = site.placing.reconciler.plan.hold
        yield gauge(
            "skerry_placement_held_deletions",
            "Copies whose deletion waits for a person.",
            len(hold.deletions) if hold is not None else 0,
        )


def _by(name: str, what: str, label: str, values: Iterable[str], number: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=[label])
    for value in values:
        family.add_metric([value], number.get(value, 0))
    return family
