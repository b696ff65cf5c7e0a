"""The most memory of a region while four edges fetch a first image and it receives another.

The sum of `Rss` of the process and its descendants, read every 50 ms.
"""

import contextlib
import shutil
from collections.abc import Sequence

from benchmarks.processes import peak_resident
from benchmarks.row import Row, alone, under
from benchmarks.wan import sites
from benchmarks.wan.line import Line
from benchmarks.wan.stage import Stage
from peers.process import free_port

EDGES = 4


def measure(stage: Stage) -> Sequence[Row]:
    sent, received = stage.image("v1.raw"), stage.image("v2re.raw")
    folder = stage.folder / "memory"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        up = stack.enter_context(Line(stage.centre.listens))
        down = stack.enter_context(Line(free_port()))
        region = stack.enter_context(sites.joined(folder / "region", up, stage.centre, stage.centre, down))
        stage.give(region, sent)
        edges = [
            stack.enter_context(sites.joined(folder / f"below-{number}", down, region, stage.centre))
            for number in range(EDGES)
        ]
        for site in edges:
            site.wait_known(sent)
        region.wait_known(received)
        up.reshape(stage.lines.wide)
        down.reshape(stage.lines.wide)
        with peak_resident(region.service.pid) as peak:
            region.queue(received)
            for site in edges:
                site.queue(sent)
            region.wait_whole(received)
            for site in edges:
                site.wait_whole(sent)
    return [
        alone(f"memory of a site that sends to {EDGES} and receives", "MB", [peak.value], under(400, "MB"))
    ]
