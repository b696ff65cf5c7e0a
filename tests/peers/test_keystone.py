"""A real Keystone says who is asking, at the central site and at the edge; and then it is away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from peers.http import request
from peers.keystone import ADMIN, ALT_DEMO, DEMO, DEMO_READER, Account, Keystone
from peers.place import Place
from peers.process import HOST, PeerError, eventually, free_port
from peers.skerry import Skerry

QUEUED = ("--disk-format", "raw", "--container-format", "bare")


@pytest.fixture(scope="module")
def record(centre: Place) -> str:
    """The path of demo's private image."""
    created = centre.client(DEMO).json("image", "create", *QUEUED, "--private", f"mine-{uuid4().hex[:8]}")
    return f"/v2/images/{created['id']}"


@pytest.fixture
def stop(keystone: Keystone) -> Iterator[Callable[[], None]]:
    """Stop Keystone. It is started again when the test ends."""
    yield keystone.stop
    if not keystone.daemon.running:
        keystone.start()


@pytest.fixture
def freeze(keystone: Keystone) -> Iterator[Callable[[], None]]:
    """Freeze Keystone: it takes requests and never answers. Undone when the test ends."""
    yield keystone.daemon.pause
    keystone.daemon.resume()


@pytest.fixture(params=["stop", "freeze"])
def lose(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Lose Keystone, in each way in turn."""
    found: Callable[[], None] = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("account", "reads", "changes"),
    [(ADMIN, 200, 200), (DEMO, 200, 200), (DEMO_READER, 200, 403), (ALT_DEMO, 404, 404)],
    ids=["admin", "its project's member", "its project's reader", "a member of another project"],
)
def test_who_may_do_what_with_a_private_image(
    site: Place, record: str, account: Account, reads: int, changes: int
) -> None:
    read = site.request(account, "GET", record)
    headers = site.keystone.headers(account) | {
        "Content-Type": "application/openstack-images-v2.1-json-patch"
    }
    patch = b'[{"op": "replace", "path": "/min_ram", "value": 64}]'
    changed = request("PATCH", f"{site.url}{record}", patch, headers)

    assert (read.status, changed.status) == (reads, changes)


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Auth-Token": "x" * 32}, {"X-Auth-Token": ""}, {"X-User-Id": "admin", "X-Roles": "admin"}],
    ids=["no token", "an unknown token", "an empty token", "what a middleware would say"],
)
def test_nobody_comes_in_without_a_token_that_keystone_knows(site: Place, headers: dict[str, str]) -> None:
    answer = request("GET", f"{site.url}/v2/images", headers=headers)

    assert answer.status == 401
    assert "Keystone uri=" in answer.headers["WWW-Authenticate"]


def test_a_revoked_token_is_refused_once_its_check_is_old(
    start_site: Callable[..., Skerry], keystone: Keystone
) -> None:
    site = start_site("short-memory", {"keystone": {"cache": "1s"}})
    headers = keystone.headers(DEMO)
    before = request("GET", f"{site.url}/v2/images", headers=headers)

    keystone.revoke(headers["X-Auth-Token"])

    assert before.status == 200
    eventually(
        lambda: request("GET", f"{site.url}/v2/images", headers=headers).status == 401,
        "401 for a revoked token",
    )


def test_a_known_token_reads_on_while_keystone_is_stopped(
    start_site: Callable[..., Skerry], keystone: Keystone, stop: Callable[[], None]
) -> None:
    site = start_site("keystone-stopped", {"keystone": {"cache": "1s"}})
    known, unknown = keystone.headers(DEMO), keystone.headers(ALT_DEMO)
    body = b'{"name": "new", "disk_format": "raw", "container_format": "bare"}'

    def status(method: str, headers: dict[str, str]) -> int:
        content = body if method == "POST" else None
        return request(method, f"{site.url}/v2/images", content, headers).status

    before = status("GET", known), status("POST", known)
    stop()
    # once the check is a second old, writing needs Keystone again and reading does not
    eventually(lambda: status("POST", known) == 503, "503 for a write")
    during = status("GET", known), status("GET", unknown)
    keystone.start()
    eventually(lambda: status("POST", known) == 201, "a write with Keystone back")

    assert before == (200, 201)
    assert during == (200, 503)
    assert status("GET", unknown) == 200


def test_an_edge_restarted_while_cut_off_serves_a_token_that_it_has_seen(
    start_site: Callable[..., Skerry], keystone: Keystone, lose: Callable[[], None]
) -> None:
    number = uuid4().hex[:8]
    centre = start_site(f"centre-{number}")
    edge = start_site(f"edge-{number}", {"upstream": {"url": centre.url, "auth": "keystone"}})
    known, unknown = keystone.headers(DEMO), keystone.headers(ALT_DEMO)
    data = os.urandom(1 << 20)
    body = b'{"name": "one", "disk_format": "raw", "container_format": "bare"}'
    created = request("POST", f"{centre.url}/v2/images", body, known).json()
    file = f"/v2/images/{created['id']}/file"
    octets = known | {"Content-Type": "application/octet-stream"}
    assert request("PUT", f"{centre.url}{file}", data, octets).status == 204
    assert request("GET", f"{edge.url}{file}", headers=known).body == data

    centre.stop()
    lose()
    edge.stop()
    edge.start()
    first = request("GET", f"{edge.url}{file}", headers=known, timeout=3)
    listed = request("GET", f"{edge.url}/v2/images", headers=known, timeout=3)
    stranger = request("GET", f"{edge.url}{file}", headers=unknown)
    written = request("POST", f"{edge.url}/v2/images", body, known)

    assert (first.status, first.body) == (200, data)
    assert [image["id"] for image in listed.json()["images"]] == [created["id"]]
    assert (stranger.status, written.status) == (503, 503)
    assert b"was not checked before" in stranger.body
    assert b"writing needs a fresh check" in written.body


def test_a_token_with_access_rules_is_refused_with_the_reason(site: Place, keystone: Keystone) -> None:
    rule = {"service": "image", "method": "GET", "path": "/v2/images"}
    headers = {"X-Auth-Token": keystone.limited_token(DEMO, rule)}

    answer = request("GET", f"{site.url}/v2/images", headers=headers)

    assert answer.status == 401
    assert b"with access rules" in answer.body


def test_a_frozen_keystone_does_not_freeze_who_is_known(
    site: Place, record: str, freeze: Callable[[], None]
) -> None:
    headers = site.keystone.headers(DEMO)
    before = request("GET", f"{site.url}{record}", headers=headers)

    freeze()
    during = request("GET", f"{site.url}{record}", headers=headers, timeout=1)

    assert before.status == during.status == 200


def test_a_site_whose_own_account_is_refused_does_not_start(
    start_site: Callable[..., Skerry], centre: Place
) -> None:
    wrong = {"upstream": {"url": centre.url, "auth": "keystone"}, "keystone": {"password": "wrong"}}

    with pytest.raises(PeerError, match=r"(?s)ended at start.*keystone"):
        start_site("wrong-password", wrong)


def test_an_edge_starts_while_keystone_and_its_upstream_are_away(
    start_site: Callable[..., Skerry], keystone: Keystone, stop: Callable[[], None]
) -> None:
    stop()

    nowhere = f"http://{HOST}:{free_port()}"
    site = start_site("alone", {"upstream": {"url": nowhere, "auth": "keystone"}})

    assert request("GET", f"{site.url}/healthcheck").status == 200
    assert request("GET", f"{site.url}/v2/images", headers={"X-Auth-Token": "x" * 32}).status == 503
