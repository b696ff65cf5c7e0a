"""A page of a list, with a token of Keystone, at an edge within its TTL: one process against two."""

from collections.abc import Sequence
from functools import partial

from benchmarks.clients import WrongAnswerError, wrk
from benchmarks.clients.service import Service
from benchmarks.figures.show import CLIENTS
from benchmarks.rounds import interleaved
from benchmarks.row import Row, compare, times
from benchmarks.stage import Stage

PATH = "/v2/images?limit=25"


def measure(stage: Stage) -> Sequence[Row]:
    services = (stage.edge, stage.glance)
    for service in services:
        _check(stage, service)
    found = interleaved(stage.scale.rounds, {each.name: partial(_turn, stage, each) for each in services})
    ours, theirs = (found[service.name] for service in services)
    what = f"a page of 25 of {stage.scale.images:,} images, {CLIENTS} clients"
    return [compare(what, "requests/s", ours, "stock Glance, 2 workers", theirs, times(20))]


def _check(stage: Stage, service: Service) -> None:
    """Raise WrongAnswerError unless the page is whole, and the list has every image."""
    assert stage.catalogues
    page = service.call("GET", PATH)
    every = service.call("GET", "/v2/images?limit=1000&tag=bench")
    if len(page["images"]) != 25 or "next" not in page or len(every["images"]) != stage.scale.images:
        raise WrongAnswerError(f"{service.name}: {len(page['images'])} images of {len(every['images'])}")


def _turn(stage: Stage, service: Service) -> float:
    return wrk.rate(service.url + PATH, service.headers, clients=CLIENTS, seconds=stage.scale.seconds)
