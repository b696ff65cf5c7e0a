"""Real disk images: uploaded with `openstack` at the centre, saved with `openstack` at the edge."""

from __future__ import annotations

import filecmp
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from peers import images
from peers.install import program
from peers.keystone import DEMO
from peers.place import Place
from peers.process import run


@dataclass(frozen=True)
class Journey:
    """An image on its way: the uploaded file, what either site says of it, and the saved file."""

    uploaded: Path
    at_the_centre: dict[str, Any]
    at_the_edge: dict[str, Any]
    saved: Path


def travel(disk: Path, centre: Place, edge: Place, folder: Path) -> Journey:
    name, saved = f"{disk.stem}-{uuid4().hex[:8]}", folder / disk.name
    options = ("--disk-format", disk.suffix.lstrip("."), "--container-format", "bare", "--file", disk)
    created = centre.client(DEMO).json("image", "create", *options, name)
    shown = edge.client(DEMO).json("image", "show", name)
    edge.client(DEMO).run("image", "save", "--file", saved, name)
    return Journey(disk, created, shown, saved)


@pytest.fixture(scope="module")
def iso(bootable_iso: Path, centre: Place, edge: Place, folder: Path) -> Journey:
    return travel(bootable_iso, centre, edge, folder)


@pytest.fixture(scope="module")
def qcow2(debian_qcow2: Path, centre: Place, edge: Place, folder: Path) -> Journey:
    return travel(debian_qcow2, centre, edge, folder)


@pytest.mark.parametrize("which", ["iso", "qcow2"])
def test_a_real_image_arrives_at_the_edge_byte_for_byte(which: str, request: pytest.FixtureRequest) -> None:
    journey: Journey = request.getfixturevalue(which)

    assert filecmp.cmp(journey.uploaded, journey.saved, shallow=False)
    assert journey.at_the_edge == journey.at_the_centre
    assert journey.at_the_edge["size"] == journey.uploaded.stat().st_size
    with journey.saved.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").hexdigest()
    assert journey.at_the_edge["properties"]["os_hash_value"] == digest


def test_the_debian_root_is_sound_after_its_journey(qcow2: Journey) -> None:
    images.check_qcow2(qcow2.saved)
    run(program("qemu-img"), "compare", qcow2.uploaded, qcow2.saved)
    known = json.loads(run(program("qemu-img"), "info", "--output", "json", qcow2.saved))
    assert qcow2.at_the_edge["virtual_size"] == known["virtual-size"]


def test_the_iso_still_has_its_boot_records_after_its_journey(iso: Journey) -> None:
    content = iso.saved.read_bytes()
    assert content[510:512] == b"\x55\xaa"  # boots from a USB stick
    assert content[17 * 2048 + 7 :].startswith(b"EL TORITO SPECIFICATION")  # boots from a CD
