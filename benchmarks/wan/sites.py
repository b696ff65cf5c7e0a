"""Sites of Skerry, each `skerry serve` in a process of its own, joined by the lines between them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients.service import Service
from benchmarks.wan.line import Line
from peers.http import request
from peers.process import HOST, eventually, free_port, run
from peers.skerry import Skerry

PATIENCE = 4 * 3600.0
"""Seconds that a whole image may take over a thin line."""
INDEXED_WITHIN = 300.0


@dataclass(frozen=True)
class Site:
    """A running site; it listens to other sites at the port `listens`, unless that is 0."""

    name: str
    folder: Path
    listens: int
    skerry: Skerry
    service: Service

    def file(self, image_id: str) -> Path:
        """Where it keeps the bytes of an image that it has."""
        return self.folder / "data" / "images" / image_id

    def wait_known(self, image_id: str) -> None:
        """Return once it has the record of an image, with its bytes somewhere."""
        url = f"{self.service.url}/v2/images/{image_id}"

        def is_active() -> bool:
            answer = request("GET", url)
            return answer.status == 200 and answer.json()["status"] == "active"

        eventually(is_active, f"{self.name}: the record of {image_id}")

    def has_index(self, image_id: str) -> bool:
        """Whether it could tell others the chunks of an image."""
        return request("GET", f"{self.service.url}/skerry/v1/images/{image_id}/index").status == 200

    def wait_indexed(self, image_id: str) -> None:
        """Return once it has the index of an image that is whole here."""
        eventually(lambda: self.has_index(image_id), f"{self.name}: index of {image_id}", INDEXED_WITHIN)

    def queue(self, image_id: str) -> None:
        """Have it bring an image by itself."""
        self.service.call("PUT", f"/v2/cache/{image_id}")

    def has(self, image_id: str) -> bool:
        """Whether an image of another site is whole here."""
        return image_id in self.service.cached()

    def wait_whole(self, image_id: str) -> None:
        """Return once an image that was asked for is whole here."""
        eventually(lambda: self.has(image_id), f"{self.name}: image {image_id}", PATIENCE)


@contextlib.contextmanager
def centre(folder: Path) -> Iterator[Site]:
    """A site that others may join."""
    with _running(folder, free_port()) as site:
        yield site


@contextlib.contextmanager
def joined(folder: Path, line: Line, at: Site, root: Site, front: Line | None = None) -> Iterator[Site]:
    """A site that has joined at another over the line that leads there; `root` is the centre.

    With a `front`, others reach it over that line, which leads to its port for them.
    """
    name = folder.name
    invitation = {"name": name, "upstream": at.name}
    token = root.service.call("POST", "/skerry/v1/sites", invitation)["token"]
    eventually(lambda: _expects(at, name), f"{at.name}: news of {name}")
    url = f"https://{HOST}:{front.port}" if front else ""
    with _running(folder, front.target if front else 0, url, (f"https://{HOST}:{line.port}", token)) as site:
        yield site


def _expects(at: Site, name: str) -> bool:
    return any(one["name"] == name for one in at.service.call("GET", "/skerry/v1/sites")["sites"])


@contextlib.contextmanager
def _running(
    folder: Path, listens: int, url: str = "", invitation: tuple[str, str] | None = None
) -> Iterator[Site]:
    sites = {"listen": f"{HOST}:{listens}", "url": url} if listens else {}
    skerry = Skerry(folder, {"sites": sites})
    if invitation is not None:
        command = Path(sys.executable).parent / "skerry"
        run(command, "join", *invitation, "--config", folder / "skerry.toml")
    with skerry:
        yield Site(folder.name, folder, listens, skerry, Service(folder.name, skerry.port, skerry, "", ""))
