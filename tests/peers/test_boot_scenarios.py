"""The two scenarios of OpenStack's edge-image discussion, step by step, with openstacksdk in Nova's place.

Distributed control: Nova's services run at the edge; nova-api there asks the edge for the record,
nova-compute for the bytes. Centralised control: nova-api runs at the centre and asks there for the record,
nova-compute at the edge asks the edge for the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from peers.http import request
from peers.keystone import ADMIN, DEMO
from peers.place import Place
from peers.process import eventually
from peers.skerry import Skerry

RECORD = """
found = image.get_image(given["id"])
result = {key: found[key] for key in ("status", "size", "hash_value", "os_distro")}
"""
BYTES = """
import hashlib
digest = hashlib.sha512()
# as nova-compute does: somebody else looked at the record
for chunk in image.get(f"/images/{given['id']}/file", stream=True).iter_content(1 << 20):
    digest.update(chunk)
result = digest.hexdigest()
"""


@dataclass(frozen=True)
class Cloud:
    """A centre and an edge of their own, and the line between them."""

    centre: Place
    edge: Place
    central_site: Skerry

    def cut(self) -> None:
        """From now on packets to the centre get no answer."""
        self.central_site.daemon.pause()

    def restore(self) -> None:
        self.central_site.daemon.resume()


@pytest.fixture(scope="module")
def sites(start_site: Callable[..., Skerry], enrol: Callable[..., Place]) -> Cloud:
    """The edge believes the centre's records for a second."""
    central = start_site("boot-centre")
    edge = start_site("boot-edge", {"upstream": {"url": central.url, "auth": "keystone", "ttl": "1s"}})
    return Cloud(enrol("boot-centre", central.url), enrol("boot-edge", edge.url), central)


@pytest.fixture
def cloud(sites: Cloud) -> Iterator[Cloud]:
    yield sites
    sites.restore()


@pytest.fixture
def uploaded(cloud: Cloud, small_qcow2: Path) -> str:
    """The id of an image at the centre; nobody at the edge has asked for it."""
    return cloud.centre.create(DEMO, small_qcow2, name=f"boot-{uuid4().hex[:8]}")


def boot(nova_api: Place, nova_compute: Place, image: str) -> tuple[dict[str, object], str]:
    """What nova-api learns of the image, and the digest of the bytes that nova-compute gets."""
    return nova_api.client(DEMO).sdk(RECORD, id=image), nova_compute.client(DEMO).sdk(BYTES, id=image)


def cached(place: Place) -> list[str]:
    listed = place.request(ADMIN, "GET", "/v2/cache").json()
    return [entry["image_id"] for entry in listed["cached_images"]]


def test_distributed_control_first_and_second_use(cloud: Cloud, uploaded: str, small_qcow2: Path) -> None:
    digest = hashlib.sha512(small_qcow2.read_bytes()).hexdigest()
    before = cached(cloud.edge)

    first = boot(cloud.edge, cloud.edge, uploaded)
    after = cached(cloud.edge)
    second = boot(cloud.edge, cloud.edge, uploaded)

    size = small_qcow2.stat().st_size
    record = {"status": "active", "size": size, "hash_value": digest, "os_distro": None}
    assert first == second == (record, digest)
    assert uploaded not in before
    assert uploaded in after


def test_distributed_control_learns_of_a_change_past_the_ttl(cloud: Cloud, uploaded: str) -> None:
    boot(cloud.edge, cloud.edge, uploaded)

    change = 'image.update_image(image.get_image(given["id"]), os_distro="debian")\nresult = None'
    cloud.centre.client(DEMO).sdk(change, id=uploaded)

    path = f"/v2/images/{uploaded}"
    eventually(
        lambda: cloud.edge.request(DEMO, "GET", path).json().get("os_distro") == "debian",
        "the change at the edge",
    )
    record, _ = boot(cloud.edge, cloud.edge, uploaded)
    assert record["os_distro"] == "debian"


def test_distributed_control_boots_no_deleted_image_past_the_ttl(cloud: Cloud, uploaded: str) -> None:
    boot(cloud.edge, cloud.edge, uploaded)

    cloud.centre.client(DEMO).sdk('image.delete_image(given["id"])\nresult = None', id=uploaded)

    path = f"/v2/images/{uploaded}"
    eventually(lambda: cloud.edge.request(DEMO, "GET", path).status == 404, "404 at the edge")
    assert cloud.edge.request(DEMO, "GET", f"{path}/file").status == 404


def test_distributed_control_goes_on_when_the_line_is_cut(
    cloud: Cloud, uploaded: str, small_qcow2: Path
) -> None:
    digest = hashlib.sha512(small_qcow2.read_bytes()).hexdigest()
    path = f"{cloud.edge.url}/v2/images/{uploaded}"
    connected = boot(cloud.edge, cloud.edge, uploaded)
    headers = cloud.edge.keystone.headers(DEMO)

    cloud.cut()
    # past the record's TTL one request finds out, which takes two seconds at most; then all are quick
    eventually(
        lambda: "Skerry-Stale" in request("GET", path, headers=headers, timeout=3).headers, "a stale record"
    )
    quick = request("GET", path, headers=headers, timeout=0.5)
    cut = boot(cloud.edge, cloud.edge, uploaded)

    assert quick.status == 200
    assert cut == connected
    assert cut[1] == digest

    cloud.restore()

    eventually(lambda: "Skerry-Stale" not in request("GET", path, headers=headers).headers, "a fresh record")


def test_an_image_that_never_came_here_cannot_be_had_while_the_line_is_cut(
    cloud: Cloud, uploaded: str, small_qcow2: Path
) -> None:
    path = f"/v2/images/{uploaded}/file"

    cloud.cut()
    refused = cloud.edge.request(DEMO, "GET", path)
    cloud.restore()

    assert refused.status == 503
    eventually(lambda: cloud.edge.request(DEMO, "GET", path).status == 200, "the bytes with the line back")


def test_centralised_control_first_use_second_use_and_a_cut_line(
    cloud: Cloud, uploaded: str, small_qcow2: Path
) -> None:
    digest = hashlib.sha512(small_qcow2.read_bytes()).hexdigest()

    first = boot(cloud.centre, cloud.edge, uploaded)
    second = boot(cloud.centre, cloud.edge, uploaded)
    cloud.cut()
    cut = cloud.edge.client(DEMO).sdk(BYTES, id=uploaded)

    assert first == second
    assert first[0]["status"] == "active"
    assert first[1] == cut == digest
    assert uploaded in cached(cloud.edge)


def test_centralised_control_refuses_the_bytes_of_an_image_deactivated_at_the_centre(
    cloud: Cloud, uploaded: str
) -> None:
    boot(cloud.centre, cloud.edge, uploaded)

    cloud.centre.client(ADMIN).sdk('image.deactivate_image(given["id"])\nresult = None', id=uploaded)

    path = f"/v2/images/{uploaded}/file"
    eventually(lambda: cloud.edge.request(DEMO, "GET", path).status == 403, "403 for the bytes")
