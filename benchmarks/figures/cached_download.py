"""Download of an image that the edge has: against nginx serving the same file, and against Glance's cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.clients import curl
from benchmarks.processes import processor_time
from benchmarks.rounds import interleaved
from benchmarks.row import Row, compare, less_than_peer, times
from benchmarks.stage import Stage

NGINX = "nginx, sendfile"
GLANCE = "stock Glance, cache hit"
EDGE = "edge"


@dataclass(frozen=True)
class Turn:
    """MiB a second of all clients together, and the server's processor time in seconds a GiB."""

    rate: float
    processor: float


def measure(stage: Stage) -> Sequence[Row]:
    sides = _sides(stage)
    rows = []
    for clients in (1, 4):
        found = interleaved(
            stage.scale.rounds, {name: partial(side, clients) for name, side in sides.items()}
        )
        rates = {name: [turn.rate for turn in turns] for name, turns in found.items()}
        costs = {name: [turn.processor for turn in turns] for name, turns in found.items()}
        what = f"download of a cached {stage.scale.image} image, {clients} client{'s' * (clients > 1)}"
        rows += [
            compare(what, "MiB/s", rates[EDGE], NGINX, rates[NGINX], times(0.95)),
            compare(what, "MiB/s", rates[EDGE], GLANCE, rates[GLANCE], times(1.3)),
            compare(f"{what}: processor", "s/GiB", costs[EDGE], GLANCE, costs[GLANCE], less_than_peer()),
        ]
    return rows


def _sides(stage: Stage) -> dict[str, Callable[[int], Turn]]:
    sides: dict[str, Callable[[int], Turn]] = {}
    for name, service in ((EDGE, stage.edge), (GLANCE, stage.glance)):
        image_id = stage.images[service.name]
        stage.verify_download(service, image_id)
        service.wait_cached(image_id)
        sides[name] = partial(_turn, stage, service.file(image_id), service.headers, service.pid)
    same_file = stage.nginx.url(stage.images[stage.edge.name])
    sides[NGINX] = partial(_turn, stage, same_file, (), stage.nginx.daemon.pid)
    return sides


def _turn(stage: Stage, url: str, headers: Sequence[str], pid: int, clients: int) -> Turn:
    before = processor_time(pid)
    seconds = curl.download([url] * clients, headers, stage.scale.size)
    gib = clients * stage.scale.gib
    return Turn(gib * 1024 / seconds, (processor_time(pid) - before) / gib)
