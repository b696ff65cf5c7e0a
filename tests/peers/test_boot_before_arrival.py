"""A machine starts at an edge from an image that has not arrived yet, and may never have been asked for."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.wan.line import OPEN, Line, shape
from peers.bootable import MARKER, Disk, make_disk
from peers.http import request
from peers.install import program
from peers.process import eventually, run
from peers.qemu import Machine
from peers.skerry import Skerry

SIZE = 320 << 20
THIN = shape(32, 20)
"""Over this the whole image takes 85 seconds."""

SHARE = 0.5
"""More than this has not come when the machine has started."""


@dataclass(frozen=True)
class Sites:
    centre: Skerry
    edge: Skerry
    line: Line
    image: str
    disk: Disk

    @property
    def url(self) -> str:
        """The image at the edge."""
        return f"{self.edge.url}/v2/images/{self.image}/file"

    def bytes_at(self, offset: int, count: int) -> bytes:
        """So many bytes of the image."""
        with self.disk.path.open("rb") as file:
            file.seek(offset)
            return file.read(count)

    def transfer(self) -> dict[str, Any]:
        """The image on its way to the edge; nothing when it is not."""
        listed = request("GET", f"{self.edge.url}/skerry/v1/transfers").json()["transfers"]
        return next((dict(one) for one in listed if one["image_id"] == self.image), {})


@pytest.fixture(scope="module")
def disk(folder: Path) -> Disk:
    return make_disk(folder / "bootable.raw", SIZE)


@pytest.fixture
def sites(disk: Disk, tmp_path: Path) -> Iterator[Sites]:
    with Skerry(tmp_path / "centre") as centre, Line(centre.port, THIN) as line:
        upstream = {"url": f"http://127.0.0.1:{line.port}"}
        with Skerry(tmp_path / "edge", {"upstream": upstream}) as edge:
            yield Sites(centre, edge, line, uploaded(centre, disk.path), disk)


def uploaded(site: Skerry, file: Path) -> str:
    """The id of an image that has its index."""
    record = {"name": "bootable", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    kind = {"Content-Type": "application/json"}
    created = request("POST", f"{site.url}/v2/images", json.dumps(record).encode(), kind)
    image = str(created.json()["id"])
    octets = {"Content-Type": "application/octet-stream"}
    assert request("PUT", f"{site.url}/v2/images/{image}/file", file.read_bytes(), octets).status == 204
    index = f"{site.url}/skerry/v1/images/{image}/index"
    eventually(lambda: request("GET", index).status == 200, "an index")
    return image


def test_a_machine_starts_while_its_image_is_on_its_way(sites: Sites, tmp_path: Path) -> None:
    began = time.monotonic()
    with Machine(tmp_path / "machine", sites.url) as machine:
        machine.prints(MARKER, within=90)
        started = time.monotonic() - began
        far = machine.prints("skerry-far", within=30)
        transfer = sites.transfer()
    assert transfer["state"] == "transferring"
    share = transfer["done"] / transfer["total"]
    print(f"started after {started:.1f} s, {share:.1%} of the image had come")
    assert share < SHARE
    assert sites.disk.far in far

    sites.line.reshape(OPEN)
    eventually(lambda: not sites.transfer(), "the rest of the image")
    file = request("GET", sites.url).body
    assert hashlib.sha512(file).digest() == hashlib.sha512(sites.disk.path.read_bytes()).digest()
    assert sites.line.sent < SIZE * 1.05


PART, AT = 1 << 20, SIZE - (64 << 20)
"""Bytes of the image that are read while it is on its way, far from where it begins to come."""


def test_qemu_img_reads_a_part_of_an_image_that_is_on_its_way(sites: Sites, tmp_path: Path) -> None:
    part = tmp_path / "part"
    run(program("qemu-img"), *_copying(sites.url, part))
    assert sites.transfer()["done"] < SIZE // 4
    assert part.read_bytes() == sites.bytes_at(AT, PART)


def test_nbdkit_reads_a_part_of_an_image_that_is_on_its_way(sites: Sites, tmp_path: Path) -> None:
    part = tmp_path / "part"
    command = shlex.join(map(str, (program("qemu-img"), *_copying("URI", part))))
    client = command.replace("URI", '"$uri"')  # nbdkit's shell knows where it listens
    run(program("nbdkit"), "--readonly", "--unix", "-", "curl", sites.url, "--run", client)
    assert sites.transfer()["done"] < SIZE // 4
    assert part.read_bytes() == sites.bytes_at(AT, PART)


def _copying(source: str, target: Path) -> Sequence[str]:
    """What qemu-img is told to copy the part that is read."""
    blocks = f"bs={PART}", f"skip={AT // PART}", f"count={AT // PART + 1}"
    return "dd", "-f", "raw", "-O", "raw", *blocks, f"if={source}", f"of={target}"
