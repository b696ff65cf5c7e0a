"""An active image's record, with a token of Keystone, at an edge within its TTL: one process against two.

An image without data would be asked about upstream each time, as `upstream.catalogue` says.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.clients import WrongAnswerError, wrk
from benchmarks.clients.service import Service
from benchmarks.rounds import interleaved
from benchmarks.row import Row, compare, times
from benchmarks.stage import Stage

CLIENTS = 32


def measure(stage: Stage) -> Sequence[Row]:
    services = (stage.edge, stage.glance)
    names = {_path(stage, each): each.call("GET", _path(stage, each))["name"] for each in services}
    if len(set(names.values())) != 1:
        raise WrongAnswerError(f"not the same image: {names}")
    found = interleaved(stage.scale.rounds, {each.name: partial(_turn, stage, each) for each in services})
    ours, theirs = (found[service.name] for service in services)
    what = f"GET /v2/images/ID, {CLIENTS} clients"
    return [compare(what, "requests/s", ours, "stock Glance, 2 workers", theirs, times(25))]


def _path(stage: Stage, service: Service) -> str:
    return f"/v2/images/{stage.images[service.name]}"


def _turn(stage: Stage, service: Service) -> float:
    url = service.url + _path(stage, service)
    return wrk.rate(url, service.headers, clients=CLIENTS, seconds=stage.scale.seconds)
