"""The centre that all follow: `skerry serve`, and somebody who changes its images."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.clients import WrongAnswerError
from benchmarks.fleet.founding import CENTRE
from benchmarks.fleet.site import CHANGE
from peers.process import HOST
from peers.skerry import Skerry

IMAGES = 20
SIZE = 1024
_PATCH = "application/openstack-images-v2.1-json-patch"


class Centre:
    """A running centre with images of a KiB."""

    def __init__(self, skerry: Skerry) -> None:
        self._skerry = skerry
        self._line = http.client.HTTPConnection(HOST, skerry.port, timeout=60)
        self._images: list[str] = []
        self._changes = 0

    @property
    def pid(self) -> int:
        """Its process."""
        return self._skerry.daemon.pid

    def fill(self) -> None:
        """Upload the images."""
        for number in range(IMAGES):
            body = {"name": f"image-{number}", "disk_format": "raw", "container_format": "bare"}
            image = json.loads(self._ask("POST", "/v2/images", json.dumps(body).encode(), "application/json"))
            data = bytes([number]) * SIZE
            self._ask("PUT", f"/v2/images/{image['id']}/file", data, "application/octet-stream")
            self._images.append(image["id"])

    def change(self) -> tuple[str, str, float]:
        """Give the next image another name: its id, the name, and the moment before it was asked for."""
        image = self._images[self._changes % IMAGES]
        self._changes += 1
        now = time.monotonic()
        name = f"{CHANGE}{now:.6f}"
        patch: list[Any] = [{"op": "replace", "path": "/name", "value": name}]
        self._ask("PATCH", f"/v2/images/{image}", json.dumps(patch).encode(), _PATCH)
        return image, name, now

    def _ask(self, method: str, path: str, body: bytes, kind: str) -> bytes:
        self._line.request(method, path, body, {"Content-Type": kind})
        answer = self._line.getresponse()
        said = answer.read()
        self._line.close()  # or the centre ends it, when nothing has been asked for long
        if answer.status >= 300:
            raise WrongAnswerError(f"{method} {path}: {answer.status} {said[:300]!r}")
        return said


@contextmanager
def running(folder: Path, port: int) -> Iterator[Centre]:
    """The centre of this folder, which listens to sites at `port`, with its images."""
    skerry = Skerry(folder / CENTRE, {"sites": {"listen": f"{HOST}:{port}"}})
    skerry.start()
    try:
        centre = Centre(skerry)
        centre.fill()
        yield centre
    finally:
        skerry.daemon.stop()
