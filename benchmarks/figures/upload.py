"""Upload at the centre, durable when it is answered, against a stock Glance, which does not fsync."""

from collections.abc import Sequence
from functools import partial

from benchmarks.clients import curl
from benchmarks.clients.service import Service
from benchmarks.rounds import interleaved
from benchmarks.row import Row, compare, times
from benchmarks.stage import Stage


def measure(stage: Stage) -> Sequence[Row]:
    services = (stage.centre, stage.glance)
    for service in services:
        service.delete(stage.upload(service))
    found = interleaved(stage.scale.rounds, {each.name: partial(_turn, stage, each) for each in services})
    ours, theirs = (found[service.name] for service in services)
    return [compare(f"upload of {stage.scale.image}", "MiB/s", ours, stage.glance.name, theirs, times(3))]


def _turn(stage: Stage, service: Service) -> float:
    """MiB a second from the first byte to the answer."""
    image_id = service.create()
    seconds = curl.upload([service.file(image_id)], service.headers, stage.payload)
    service.delete(image_id)
    return stage.scale.gib * 1024 / seconds
