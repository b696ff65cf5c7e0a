"""What a site has and does, as numbers for Prometheus. `docs/metrics.md` says what each of them means.

All is read when it is asked for. The names are promises: dashboards and alerts are built on them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from skerry import __version__
from skerry.api.context import Edge, Home, Site
from skerry.api.site.metrics_families import counter, gauge
from skerry.api.site.metrics_feed import of_feed
from skerry.api.site.metrics_placing import known_here, of_placing
from skerry.api.traffic import BUCKETS, Traffic
from skerry.core.copy import Copy, CopyState
from skerry.core.image import Status
from skerry.core.placement.knowledge import Knowledge
from skerry.transfer.scrub import Scrubber

_BOUNDS = (*(str(bound) for bound in BUCKETS), "+Inf")


async def show(request: web.Request, site: Site) -> web.Response:
    """GET /metrics, in the text format, or in OpenMetrics for who prefers it."""
    images, free, known = await asyncio.gather(
        site.records.counts(), asyncio.to_thread(site.store.free), known_here(site)
    )
    registry = CollectorRegistry()
    registry.register(_Metrics(site, images, free, known))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
    return web.Response(body=encode(registry), headers={hdrs.CONTENT_TYPE: content_type})


class _Metrics(Collector):
    """A site at one moment; what had to be waited for is handed in."""

    def __init__(
        self, site: Site, images: Mapping[Status, int], free: int, known: Sequence[Knowledge]
    ) -> None:
        self._site = site
        self._images = images
        self._free = free
        self._known = known

    def collect(self) -> Iterator[Metric]:
        """All that is said of the site."""
        site = self._site
        about = {"site": site.config.site.name, "version": __version__}
        yield InfoMetricFamily("skerry_site", "This site and the Skerry that it runs.", about)
        images = GaugeMetricFamily("skerry_images", "Images whose record is known here.", labels=["status"])
        for status in Status:
            if status is not Status.DELETED:
                images.add_metric([status], self._images.get(status, 0))
        yield images
        yield from _copies(site.copies.all())
        yield gauge("skerry_store_free_bytes", "Bytes that the store can still take.", self._free)
        if site.scrubber is not None:
            yield from _scrubber(site.scrubber, site.copies.all())
        if site.home is not None:
            yield from _home(site.home)
        if site.edge is not None:
            yield from _edge(site.edge)
            yield counter("skerry_egress_bytes", "Bytes that siblings were sent.", site.egress.sent)
        if site.feed is not None:
            yield from of_feed(site.feed, site.clock.now())
        if site.placing is not None:
            yield from of_placing(site, self._known)
        yield from _traffic(site.traffic)


def _copies(copies: Iterable[Copy]) -> Iterator[Metric]:
    number: Counter[CopyState] = Counter()
    size: Counter[CopyState] = Counter()
    for copy in copies:
        number[copy.state] += 1
        size[copy.state] += (copy.size or 0) if copy.state is CopyState.COMPLETE else copy.durable
    yield _by_state("skerry_copies", "Copies of images here.", number)
    yield _by_state("skerry_copy_bytes", "Bytes of copies here that survive a crash.", size)


def _by_state(name: str, what: str, values: Mapping[CopyState, int]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=["state"])
    for state in CopyState:
        family.add_metric([state], values[state])
    return family


def _scrubber(scrubber: Scrubber, copies: Iterable[Copy]) -> Iterator[Metric]:
    damaged = sum(bool(copy.trouble) for copy in copies)
    yield counter("skerry_verified_bytes", "Bytes of copies that were read again.", scrubber.read_bytes)
    yield counter("skerry_copies_found_damaged", "Copies that were not right then.", scrubber.wrong_copies)
    yield gauge("skerry_copies_damaged", "Copies that are damaged, and not put right yet.", damaged)


def _home(home: Home) -> Iterator[Metric]:
    yield gauge("skerry_uploads", "Images whose bytes are being sent here now.", home.uploads.running)
    yield counter("skerry_uploaded_bytes", "Bytes of images that have been sent here.", home.uploads.received)


def _edge(edge: Edge) -> Iterator[Metric]:
    line, cache = edge.link.status, edge.cache
    yield gauge("skerry_upstream_connected", "1 while upstream answers, 0 while not.", edge.link.connected)
    since = line.since.timestamp()
    yield gauge("skerry_upstream_changed_timestamp_seconds", "When that was last found changed.", since)
    yield gauge("skerry_cache_limit_bytes", "Bytes that cached copies may take at most.", cache.room.limit)
    yield gauge("skerry_cache_used_bytes", "Bytes that cached copies take or are promised.", cache.room.used)
    yield gauge(
        "skerry_cache_pinned", "Copies that are never evicted.", sum(copy.pinned for copy in cache.cached())
    )
    yield counter("skerry_cache_hits", "Downloads answered from a whole copy.", cache.hits)
    yield counter("skerry_cache_misses", "Downloads that had to wait for upstream.", cache.misses)
    yield gauge("skerry_fetches", "Images that are being fetched from upstream now.", len(cache.fetches()))
    to_come = sum(max(0, (copy.size or 0) - copy.durable) for copy in cache.coming())
    yield gauge("skerry_queued_bytes", "Bytes of images on their way or queued that are not here.", to_come)
    yield counter("skerry_fetched_bytes", "Bytes of images that came from upstream.", edge.upstream.received)
    yield counter(
        "skerry_sibling_bytes", "Bytes of images that came from siblings.", edge.cache.siblings.received
    )


def _traffic(traffic: Traffic) -> Iterator[Metric]:
    answered = CounterMetricFamily(
        "skerry_http_requests", "Requests by what was answered.", labels=["method", "route", "status"]
    )
    took = HistogramMetricFamily(
        "skerry_http_request_duration_seconds", "How long answers took.", labels=["method", "route"]
    )
    for route in traffic.routes:
        for status, count in route.statuses.items():
            answered.add_metric([route.method, route.path, str(status)], count)
        if route.statuses:
            buckets = list(zip(_BOUNDS, accumulate(route.within), strict=True))
            took.add_metric([route.method, route.path], buckets, route.seconds)
    yield answered
    yield took
