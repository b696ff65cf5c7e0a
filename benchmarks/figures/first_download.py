"""First download at a place: the edge fetches from its centre and verifies; Glance fills its cache."""

from collections.abc import Sequence
from functools import partial

from benchmarks.clients import curl
from benchmarks.clients.service import Service
from benchmarks.rounds import interleaved
from benchmarks.row import Row, compare, times
from benchmarks.stage import Stage


def measure(stage: Stage) -> Sequence[Row]:
    services = (stage.edge, stage.glance)
    for service in services:
        stage.verify_download(service, stage.images[service.name])
    found = interleaved(stage.scale.rounds, {each.name: partial(_turn, stage, each) for each in services})
    what = f"first download of a {stage.scale.image} image"
    ours, theirs = (found[service.name] for service in services)
    return [compare(what, "MiB/s", ours, "stock Glance, filling its cache", theirs, times(2))]


def _turn(stage: Stage, service: Service) -> float:
    """MiB a second when the bytes are not in the cache, which has them afterwards."""
    image_id = stage.images[service.name]
    service.wait_cached(image_id)
    service.drop_copy(image_id)
    seconds = curl.download([service.file(image_id)], service.headers, stage.scale.size)
    service.wait_cached(image_id)
    return stage.scale.gib * 1024 / seconds
