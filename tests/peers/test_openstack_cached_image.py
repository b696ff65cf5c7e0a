"""`openstack cached image …`: how an operator sees and steers the cache of an edge."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from peers.client import Client
from peers.keystone import ADMIN, DEMO
from peers.place import Place
from peers.process import eventually


@pytest.fixture
def uploaded(centre: Place, small_qcow2: Path) -> str:
    """The id of an image that only the central site has so far."""
    return centre.create(DEMO, small_qcow2, name=f"cached-{uuid4().hex[:8]}")


def state(admin: Client, image: str) -> str | None:
    """What the cache says of an image: cached, queued, or nothing."""
    listed = admin.json("cached", "image", "list")
    return next((str(entry["State"]) for entry in listed if entry["ID"] == image), None)


def test_a_downloaded_image_is_listed_with_its_size_and_hits(
    edge: Place, uploaded: str, small_qcow2: Path, tmp_path: Path
) -> None:
    admin, demo = edge.client(ADMIN), edge.client(DEMO)
    before = state(admin, uploaded)

    demo.run("image", "save", "--file", tmp_path / "first", uploaded)
    demo.run("image", "save", "--file", tmp_path / "second", uploaded)
    (entry,) = (found for found in admin.json("cached", "image", "list") if found["ID"] == uploaded)

    assert before is None
    assert entry["State"] == "cached"
    assert entry["Size"] == small_qcow2.stat().st_size
    assert entry["Hits"] >= 1


def test_a_queued_image_is_fetched_before_anybody_asks(edge: Place, uploaded: str) -> None:
    admin = edge.client(ADMIN)

    admin.run("cached", "image", "queue", uploaded)

    eventually(lambda: state(admin, uploaded) == "cached", "the queued image in the cache")


def test_a_deleted_copy_is_fetched_again_when_needed(
    edge: Place, uploaded: str, small_qcow2: Path, tmp_path: Path
) -> None:
    admin, demo = edge.client(ADMIN), edge.client(DEMO)
    demo.run("image", "save", "--file", tmp_path / "first", uploaded)

    admin.run("cached", "image", "delete", uploaded)
    deleted = state(admin, uploaded)
    demo.run("image", "save", "--file", tmp_path / "second", uploaded)

    assert deleted is None
    assert (tmp_path / "second").read_bytes() == small_qcow2.read_bytes()
    assert state(admin, uploaded) == "cached"


def test_clear_empties_the_cache_and_loses_no_image(
    edge: Place, uploaded: str, small_qcow2: Path, tmp_path: Path
) -> None:
    admin, demo = edge.client(ADMIN), edge.client(DEMO)
    demo.run("image", "save", "--file", tmp_path / "first", uploaded)

    admin.run("cached", "image", "clear")

    assert admin.json("cached", "image", "list") == []
    demo.run("image", "save", "--file", tmp_path / "again", uploaded)
    assert (tmp_path / "again").read_bytes() == small_qcow2.read_bytes()


def test_only_an_administrator_steers_the_cache(edge: Place, uploaded: str) -> None:
    demo = edge.client(DEMO)

    assert "403" in demo.refusal("cached", "image", "list")
    assert "403" in demo.refusal("cached", "image", "queue", uploaded)
    assert "403" in demo.refusal("cached", "image", "delete", uploaded)
    assert "Failed to clear" in demo.refusal("cached", "image", "clear")
    assert edge.request(DEMO, "DELETE", "/v2/cache").status == 403
