"""What a site tells Prometheus, read by Prometheus' own parsers."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from skerry import __version__
from skerry.lab.link import Link
from tests.functional.federation.cast import centre, joined, member
from tests.functional.sites import Api, eventually, line_to, noise, running, settings

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


class Numbers:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.families: list[Metric] = list(text_format(text))

    def __call__(self, name: str, **labels: str) -> float:
        """The value of a sample; 0 where there is none."""
        samples = [sample for family in self.families for sample in family.samples]
        found = [sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)]
        return found[0] if found else 0.0

    def described(self) -> dict[str, tuple[str, set[str]]]:
        """Type and labels by name, as the page gives them."""
        found: dict[str, tuple[str, set[str]]] = {}
        for family in self.families:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels}
            found[name] = (family.type, labels - {"le"})
        return found


async def scrape(site: Api) -> Numbers:
    status, headers, body = await site.call("GET", "/metrics")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    return Numbers(body.decode())


@dataclass
class Cloud:
    centre: Api
    edge: Api
    line: Link


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with running(settings(tmp_path / "centre")) as centre, line_to(centre.url) as (line, url):
        upstream = {"url": url, "ttl": "1h", "timeout": 0.4, "stall": 2}
        cache = {"size": 1 << 20}
        async with running(settings(tmp_path / "edge", upstream=upstream, cache=cache)) as edge:
            yield Cloud(centre, edge, line)


async def test_the_page_lists_every_metric_with_its_type_and_labels_and_no_other(
    cloud: Cloud, tmp_path: Path
) -> None:
    image = await cloud.centre.create(noise(1000))
    await cloud.edge.download(image["id"])
    said = (await scrape(cloud.centre)).described() | (await scrape(cloud.edge)).described()
    async with (
        centre(tmp_path / "central") as central,
        member(await joined(central, tmp_path / "lyon", "lyon")) as lyon,
    ):
        await eventually(lambda: lyon.site.feed.follower.contact.heard_at)  # type: ignore[union-attr]
        said = (await scrape(lyon)).described() | said
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| \S", PAGE, re.MULTILINE)
    written = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert written == {name: what for name, what in said.items() if not name.startswith("process_")}
    assert any(name.startswith("process_") for name in said)


async def test_who_prefers_openmetrics_gets_it(cloud: Cloud) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    _, headers, body = await cloud.edge.call("GET", "/metrics", headers=accept)
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert "skerry_site" in {family.name for family in open_metrics(body.decode())}  # type: ignore[no-untyped-call]


async def test_images_copies_and_the_cache_are_counted_as_they_are(cloud: Cloud) -> None:
    image, _ = await cloud.centre.create(noise(300_000)), await cloud.centre.create(name="no bytes")
    at_home = await scrape(cloud.centre)
    assert (at_home("skerry_images", status="active"), at_home("skerry_images", status="queued")) == (1, 1)
    assert at_home("skerry_copies", state="complete") == 1
    assert at_home("skerry_copy_bytes", state="complete") == 300_000
    assert (at_home("skerry_uploaded_bytes_total"), at_home("skerry_uploads")) == (300_000, 0)

    await cloud.edge.download(image["id"])
    assert cloud.edge.site.edge is not None
    await eventually(lambda: not cloud.edge.site.edge.cache.fetches())  # type: ignore[union-attr]
    await cloud.edge.download(image["id"])
    await cloud.edge.site.edge.cache.pin(image["id"], pinned=True)
    at_edge = await scrape(cloud.edge)
    assert at_edge("skerry_site_info", site="local", version=__version__) == 1
    assert (at_edge("skerry_cache_misses_total"), at_edge("skerry_cache_hits_total")) == (1, 1)
    assert (at_edge("skerry_cache_used_bytes"), at_edge("skerry_cache_limit_bytes")) == (300_000, 1 << 20)
    assert (at_edge("skerry_cache_pinned"), at_edge("skerry_fetches")) == (1, 0)
    assert at_edge("skerry_fetched_bytes_total") == 300_000
    assert at_edge("skerry_store_free_bytes") > 0


async def test_requests_are_counted_by_route_and_answer_whatever_their_path(cloud: Cloud) -> None:
    image = await cloud.centre.create()
    for path, status in ((f"/v2/images/{image['id']}", 200), ("/v2/images/nothing", 404), ("/v2/no", 404)):
        assert (await cloud.centre.call("GET", path))[0] == status
    assert (await cloud.centre.call("PUT", "/v2/images"))[0] == 405
    numbers = await scrape(cloud.centre)
    name, route = "skerry_http_requests_total", "/v2/images/{image_id}"
    assert numbers(name, method="GET", route=route, status="200") == 2  # create has shown it once
    assert numbers(name, method="GET", route=route, status="404") == 1
    assert numbers(name, method="other", route="/v2/images", status="405") == 1
    assert numbers(name, method="other", route="other", status="404") == 1
    name = "skerry_http_request_duration_seconds"
    assert numbers(f"{name}_count", method="GET", route=route) == 3
    assert numbers(f"{name}_bucket", method="GET", route=route, le="600.0") == 3
    assert numbers(f"{name}_sum", method="GET", route=route) > 0


async def test_a_client_that_went_away_is_counted_as_such(cloud: Cloud) -> None:
    image = await cloud.centre.create(noise(32 << 20))
    file = f"{cloud.centre.url}{image['file']}"
    async with aiohttp.ClientSession() as session, session.get(file) as answer:
        await answer.content.readany()
        answer.close()
    routes = {(one.method, one.path): one for one in cloud.centre.site.traffic.routes}
    downloads = routes["GET", "/v2/images/{image_id}/file"]
    await eventually(lambda: downloads.statuses == {499: 1})


async def test_a_site_that_is_cut_off_is_ready_and_says_that_it_is_cut_off(cloud: Cloud) -> None:
    assert (await scrape(cloud.edge))("skerry_upstream_connected") == 1
    cloud.line.cut()
    assert (await cloud.edge.call("GET", "/v2/images/6e3b2f0a-0000-4000-8000-000000000000"))[0] == 503
    assert (await cloud.edge.call("GET", "/healthcheck"))[0] == 200
    assert (await cloud.edge.call("HEAD", "/healthcheck"))[0] == 204
    numbers = await scrape(cloud.edge)
    assert numbers("skerry_upstream_connected") == 0
    assert cloud.edge.site.edge is not None
    since = cloud.edge.site.edge.link.status.since.timestamp()
    assert numbers("skerry_upstream_changed_timestamp_seconds") == since


async def test_metrics_need_no_token(tmp_path: Path) -> None:
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text("ann:$2b$04$" + "a" * 53 + "\n")
    identity = {"method": "http_basic", "htpasswd": htpasswd}
    async with running(settings(tmp_path / "site", identity=identity)) as site:
        assert (await site.call("GET", "/v2/images"))[0] == 401
        assert (await scrape(site))("skerry_images", status="active") == 0
