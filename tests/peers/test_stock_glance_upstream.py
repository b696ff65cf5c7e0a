"""An edge below a stock Glance, which knows nothing of edges."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from peers.client import Client
from peers.glance import Glance
from peers.keystone import ADMIN, ALT_DEMO, DEMO
from peers.place import Place
from peers.process import eventually
from peers.skerry import Skerry

QCOW2 = ("--disk-format", "qcow2", "--container-format", "bare")


@pytest.fixture(scope="module")
def below(stock: Place, start_site: Callable[..., Skerry], enrol: Callable[..., Place]) -> Place:
    """The edge. It believes Glance's records for a second."""
    site = start_site("below-stock", {"upstream": {"url": stock.url, "auth": "keystone", "ttl": "1s"}})
    return enrol("below-stock", site.url)


@pytest.fixture
def uploaded(stock: Place, small_qcow2: Path) -> str:
    """The id of an image that was uploaded to Glance."""
    return stock.create(DEMO, small_qcow2, name=f"upstream-{uuid4().hex[:8]}")


@pytest.fixture
def cut(glance: Glance) -> Iterator[Callable[[], None]]:
    """Freeze Glance: packets go there and nothing comes back. Undone when the test ends."""
    yield glance.daemon.pause
    glance.daemon.resume()


@pytest.fixture
def kill(glance: Glance) -> Iterator[Callable[[], None]]:
    """Kill Glance. It is started again when the test ends, if it was not before."""
    yield glance.daemon.kill
    if not glance.daemon.running:
        glance.start()


def test_the_edge_shows_glances_record_as_it_is(stock: Place, below: Place, uploaded: str) -> None:
    above = stock.request(DEMO, "GET", f"/v2/images/{uploaded}").json()
    here = below.request(DEMO, "GET", f"/v2/images/{uploaded}").json()

    stores = above.pop("stores")  # where the bytes lie is each site's own matter
    here.pop("stores", None)
    assert stores == "local"
    assert here == above


def test_the_edge_lists_what_glance_lists(stock: Place, below: Place, uploaded: str) -> None:
    here = {found["ID"] for found in below.client(DEMO).json("image", "list")}

    assert uploaded in here
    assert here == {found["ID"] for found in stock.client(DEMO).json("image", "list")}


def test_the_first_download_comes_from_glance_and_the_next_needs_it_no_more(
    below: Place, uploaded: str, small_qcow2: Path, tmp_path: Path, cut: Callable[[], None]
) -> None:
    demo = below.client(DEMO)
    demo.run("image", "save", "--file", tmp_path / "first", uploaded)

    cut()
    demo.run("image", "save", "--file", tmp_path / "second", uploaded)

    assert (tmp_path / "first").read_bytes() == small_qcow2.read_bytes()
    assert (tmp_path / "second").read_bytes() == small_qcow2.read_bytes()


def test_a_range_is_given_before_and_after_the_image_is_here(
    below: Place, uploaded: str, small_qcow2: Path
) -> None:
    content = small_qcow2.read_bytes()

    for _ in ("fetched", "cached"):
        answer = below.request(DEMO, "GET", f"/v2/images/{uploaded}/file", Range="bytes=70000-200000")

        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes 70000-200000/{len(content)}"
        assert answer.body == content[70000:200001]


def test_a_change_made_at_glance_shows_at_the_edge(stock: Place, below: Place, uploaded: str) -> None:
    below.client(DEMO).json("image", "show", uploaded)

    stock.client(DEMO).run("image", "set", "--property", "os_distro=debian", "--tag", "new", uploaded)

    def shows() -> bool:
        record = below.request(DEMO, "GET", f"/v2/images/{uploaded}").json()
        return bool(record.get("os_distro") == "debian" and record["tags"] == ["new"])

    eventually(shows, "the change at the edge")


def test_an_image_deleted_at_glance_is_gone_at_the_edge(
    stock: Place, below: Place, uploaded: str, tmp_path: Path
) -> None:
    below.client(DEMO).run("image", "save", "--file", tmp_path / "saved", uploaded)

    stock.client(DEMO).run("image", "delete", uploaded)

    path = f"/v2/images/{uploaded}"
    eventually(lambda: below.request(DEMO, "GET", path).status == 404, "404 for the record")
    assert below.request(DEMO, "GET", f"{path}/file").status == 404
    eventually(
        lambda: uploaded not in below.request(ADMIN, "GET", "/v2/cache").body.decode(),
        "an empty place in the cache",
    )


def test_an_image_deactivated_at_glance_is_given_out_by_nobody(
    stock: Place, below: Place, uploaded: str, tmp_path: Path
) -> None:
    below.client(DEMO).run("image", "save", "--file", tmp_path / "saved", uploaded)

    stock.client(ADMIN).run("image", "set", "--deactivate", uploaded)

    path = f"/v2/images/{uploaded}/file"
    eventually(lambda: below.request(DEMO, "GET", path).status == 403, "403 for the cached bytes")
    stock.client(ADMIN).run("image", "set", "--activate", uploaded)
    eventually(lambda: below.request(DEMO, "GET", path).status == 200, "the bytes again")


def test_rights_are_enforced_at_the_edge(below: Place, uploaded: str, tmp_path: Path) -> None:
    below.client(DEMO).run("image", "save", "--file", tmp_path / "saved", uploaded)

    assert below.request(ALT_DEMO, "GET", f"/v2/images/{uploaded}").status == 404
    assert below.request(ALT_DEMO, "GET", f"/v2/images/{uploaded}/file").status == 404


def test_an_image_shared_at_glance_is_shared_at_the_edge(
    stock: Place, below: Place, uploaded: str, small_qcow2: Path
) -> None:
    project = stock.keystone.project_id("alt_demo")
    stock.client(DEMO).run("image", "add", "project", uploaded, project)
    stock.client(ALT_DEMO).run("image", "set", "--accept", uploaded)

    path = f"/v2/images/{uploaded}/file"
    eventually(lambda: below.request(ALT_DEMO, "GET", path).status == 200, "the shared image at the edge")

    assert below.request(ALT_DEMO, "GET", path).body == small_qcow2.read_bytes()
    assert uploaded in {found["ID"] for found in below.client(ALT_DEMO).json("image", "list")}


def test_what_is_uploaded_at_the_edge_is_at_glance(
    stock: Place, below: Place, small_qcow2: Path, tmp_path: Path
) -> None:
    name = f"upwards-{uuid4().hex[:8]}"

    created = below.client(DEMO).json("image", "create", *QCOW2, "--file", small_qcow2, name)
    stock.client(DEMO).run("image", "save", "--file", tmp_path / "saved", created["id"])

    assert created["status"] == "active"
    assert created["properties"]["os_hash_value"] == hashlib.sha512(small_qcow2.read_bytes()).hexdigest()
    assert (tmp_path / "saved").read_bytes() == small_qcow2.read_bytes()


def test_bytes_that_rot_in_glances_store_are_never_a_complete_image(
    glance: Glance, below: Place, uploaded: str, tmp_path: Path
) -> None:
    stored = glance.folder / "store" / uploaded
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)

    below.client(DEMO).refusal("image", "save", "--file", tmp_path / "rotten", uploaded)

    cache = below.request(ADMIN, "GET", "/v2/cache").json()
    assert uploaded not in [entry["image_id"] for entry in cache["cached_images"]]


def test_the_edge_goes_on_when_glance_is_killed_and_finds_it_again(
    glance: Glance, below: Place, uploaded: str, small_qcow2: Path, tmp_path: Path, kill: Callable[[], None]
) -> None:
    demo, path = below.client(DEMO), f"/v2/images/{uploaded}"
    demo.run("image", "save", "--file", tmp_path / "first", uploaded)

    kill()
    demo.run("image", "save", "--file", tmp_path / "second", uploaded)

    assert (tmp_path / "second").read_bytes() == small_qcow2.read_bytes()
    assert uploaded in {found["ID"] for found in demo.json("image", "list")}
    eventually(
        lambda: "Skerry-Stale" in below.request(DEMO, "GET", path).headers, "a word that the record is old"
    )
    # the client tries five times when it gets a 503, as often as Retry-After says, unless it is told not to
    impatient = Client({**demo.variables, "OS_IMAGE_STATUS_CODE_RETRIES": "0"})
    assert "503" in impatient.refusal("image", "set", "--property", "a=b", uploaded)
    assert "503" in impatient.refusal("image", "create", *QCOW2, "nowhere-to-go")

    glance.start()

    eventually(lambda: "Skerry-Stale" not in below.request(DEMO, "GET", path).headers, "a fresh record")
    demo.run("image", "set", "--property", "a=b", uploaded)
    assert demo.json("image", "show", uploaded)["properties"]["a"] == "b"
