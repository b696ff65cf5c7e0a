"""From starting an edge to its first answer over HTTP, with nothing kept so far and with everything."""

import http.client
import shutil
import time
from collections.abc import Sequence

from benchmarks.rounds import interleaved
from benchmarks.row import Row, compare, under
from benchmarks.stage import Stage
from peers.process import HOST, Daemon, PeerError

PATH = "/healthcheck"
PATIENCE = 60.0
GOAL = under(1, "s")


def measure(stage: Stage) -> Sequence[Row]:
    assert stage.catalogues
    stage.edge.call("GET", "/v2/images")  # from now on it keeps all records
    new = stage.new_edge("started")

    def start_new() -> float:
        shutil.rmtree(new.folder / "data", ignore_errors=True)
        return _turn(new.daemon, new.port)

    sides = {
        "new": start_new,
        "old": lambda: _turn(stage.edge.peer.daemon, stage.edge.port),
        "Glance": lambda: _turn(stage.glance.peer.daemon, stage.glance.port),
    }
    found = interleaved(stage.scale.rounds, sides)
    new.stop()
    what = "start to first answer"
    return [
        compare(f"{what}, edge, new folder", "s", found["new"], stage.glance.name, found["Glance"], GOAL),
        compare(
            f"{what}, edge, {stage.scale.images:,} records",
            "s",
            found["old"],
            stage.glance.name,
            found["Glance"],
            GOAL,
        ),
    ]


def _turn(daemon: Daemon, port: int) -> float:
    """Seconds; the program runs on."""
    daemon.stop()
    answers = daemon.answers
    daemon.answers = lambda: True  # its own waiting is too coarse for this
    began = time.perf_counter()
    try:
        daemon.start()
        while not _answers(port):
            if time.perf_counter() - began > PATIENCE:
                raise PeerError(f"{daemon.name} did not answer in {PATIENCE:g} s")
            time.sleep(0.002)
        return time.perf_counter() - began
    finally:
        daemon.answers = answers


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", PATH)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
