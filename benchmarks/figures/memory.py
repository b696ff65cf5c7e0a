"""Resident memory of a site with everything in it: idle after a start, and while four clients move 4 GiB.

The sum of `Rss` in /proc/PID/smaps_rollup of the process and all its descendants; while bytes move it is read
every 50 ms and the highest counts. Each round starts the program again on what it has kept.
"""

import time
from collections.abc import Sequence

from benchmarks.clients import curl
from benchmarks.clients.service import Service
from benchmarks.processes import peak_resident, resident
from benchmarks.rounds import interleaved
from benchmarks.row import Row, compare, under
from benchmarks.stage import Stage

CLIENTS = 4
ROUNDS = 3
SETTLED = 3.0
"""Seconds after the first answers at which a program counts as idle."""

Memory = dict[str, float]


def measure(stage: Stage) -> Sequence[Row]:
    images = {
        each.name: [stage.upload(each) for _ in range(CLIENTS)] for each in (stage.centre, stage.glance)
    }
    sides = {
        "centre": lambda: _idle(stage.centre) | _upload(stage, stage.centre),
        "edge": lambda: _idle(stage.edge) | _download(stage, stage.edge, images[stage.centre.name]),
        "Glance": lambda: (
            _idle(stage.glance)
            | _upload(stage, stage.glance)
            | _download(stage, stage.glance, images[stage.glance.name])
        ),
    }
    found = interleaved(min(ROUNDS, stage.scale.rounds), sides)
    size = stage.scale.image
    words = {
        "idle": "idle",
        "upload": f"while {CLIENTS} clients upload {size} each",
        "fetch": f"while {CLIENTS} clients are the first to ask for {size} each",
        "read": f"while {CLIENTS} clients read cached images of {size}",
    }
    rows = []
    for side in ("centre", "edge"):
        for state in found[side][0]:
            ours, theirs = ([each[state] for each in found[name]] for name in (side, "Glance"))
            goal = under(100 if state == "idle" else 160, "MB")
            rows.append(
                compare(f"memory of {side}, {words[state]}", "MB", ours, stage.glance.name, theirs, goal)
            )
    return rows


def _idle(service: Service) -> Memory:
    """Start it again, and have it answer so that it knows Keystone and its database."""
    service.peer.daemon.stop()
    service.peer.daemon.start()
    for path in ("/v2/images", "/v2/schemas/image"):
        service.call("GET", path)
    time.sleep(SETTLED)
    return {"idle": resident(service.pid)}


def _upload(stage: Stage, service: Service) -> Memory:
    image_ids = [service.create() for _ in range(CLIENTS)]
    with peak_resident(service.pid) as peak:
        curl.upload([service.file(image_id) for image_id in image_ids], service.headers, stage.payload)
    for image_id in image_ids:
        service.delete(image_id)
    return {"upload": peak.value}


def _download(stage: Stage, service: Service, image_ids: Sequence[str]) -> Memory:
    for image_id in image_ids:
        if image_id in service.cached():
            service.drop_copy(image_id)
    peaks = {}
    for state in ("fetch", "read"):
        with peak_resident(service.pid) as peak:
            curl.download(
                [service.file(image_id) for image_id in image_ids], service.headers, stage.scale.size
            )
            for image_id in image_ids:
                service.wait_cached(image_id)
        peaks[state] = peak.value
    return peaks
