"""What an edge knows of its upstream's images: by TTL, by list, and while the line is cut."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import pytest

from skerry.core.errors import ConfigError
from tests.functional.clouds import TIMEOUT, TTL, Cloud
from tests.functional.sites import Api, eventually, noise, running, settings
from tests.simulators.clock import ManualClock


def names(listing: dict[str, list[dict[str, str]]]) -> list[str]:
    """Names of a list, sorted."""
    return sorted(image["name"] for image in listing["images"])


async def test_a_list_is_asked_for_once_within_the_ttl_and_filtered_here(cloud: Cloud) -> None:
    for name in ("a", "b", "c"):
        await cloud.centre.create(name=name, tags=[name])
    _, _, listing = await cloud.edge.call("GET", "/v2/images")
    assert names(listing) == ["a", "b", "c"]
    assert "GET /v2/images" in cloud.upstream.take()
    _, _, listing = await cloud.edge.call("GET", "/v2/images?tag=b")
    assert names(listing) == ["b"]
    assert "GET /v2/images" not in cloud.upstream.take()


async def test_an_unchanged_list_costs_one_request_and_confirms_every_record(cloud: Cloud) -> None:
    images = [await cloud.centre.create(noise(10), name=name) for name in ("a", "b")]
    await cloud.edge.call("GET", "/v2/images")
    await eventually(lambda: sum(one.endswith("/members") for one in cloud.upstream.requests) == 2)
    cloud.upstream.take()
    cloud.clock.forward(TTL + 1)
    await cloud.edge.call("GET", "/v2/images")
    await cloud.edge.show(images[0]["id"])
    assert cloud.upstream.take() == ["GET /v2/images"]


async def test_a_name_that_the_list_did_not_have_is_looked_for_upstream(cloud: Cloud) -> None:
    await cloud.centre.create(name="old")
    await cloud.edge.call("GET", "/v2/images")
    await cloud.centre.create(name="new: here")
    _, _, listing = await cloud.edge.call("GET", "/v2/images", params={"name": "eq:new: here"})
    assert names(listing) == ["new: here"]
    cloud.upstream.take()
    cloud.line.cut()
    status, headers, listing = await cloud.edge.call("GET", "/v2/images?name=nowhere")
    assert (status, listing["images"], "Skerry-Stale" in headers) == (200, [], True)


async def test_an_image_is_asked_about_as_long_as_its_bytes_are_on_their_way(cloud: Cloud) -> None:
    image = await cloud.centre.create()
    assert (await cloud.edge.show(image["id"]))["status"] == "queued"
    await cloud.centre.upload(image["id"], noise(100))
    assert (await cloud.edge.show(image["id"]))["status"] == "active"
    cloud.upstream.take()
    await cloud.edge.show(image["id"])
    assert cloud.upstream.take() == []


async def test_a_deleted_image_leaves_the_list_and_a_new_one_enters_it(cloud: Cloud) -> None:
    gone = await cloud.centre.create(name="gone")
    await cloud.edge.call("GET", "/v2/images")
    await cloud.centre.call("DELETE", f"/v2/images/{gone['id']}")
    await cloud.centre.create(name="new")
    await cloud.centre.create(name="hidden", os_hidden=True)
    cloud.clock.forward(TTL + 1)
    _, _, listing = await cloud.edge.call("GET", "/v2/images")
    assert names(listing) == ["new"]
    _, _, listing = await cloud.edge.call("GET", "/v2/images?os_hidden=true")
    assert names(listing) == ["hidden"]


async def test_lists_and_records_work_while_the_line_is_cut_and_say_since_when(cloud: Cloud) -> None:
    image = await cloud.centre.create(noise(100), name="kept")
    await cloud.edge.call("GET", "/v2/images")
    cloud.clock.forward(TTL + 1)
    cloud.line.cut()
    status, headers, listing = await cloud.edge.call("GET", "/v2/images?name=kept")
    assert (status, names(listing)) == (200, ["kept"])
    assert headers["Skerry-Stale"].startswith("as-of=2026-")
    status, headers, _ = await cloud.edge.call("GET", f"/v2/images/{image['id']}")
    assert (status, "Skerry-Stale" in headers) == (200, True)


async def test_what_is_known_is_used_until_max_stale_and_not_longer(cloud: Cloud) -> None:
    image = await cloud.centre.create(noise(100))
    await cloud.edge.show(image["id"])
    cloud.line.cut()
    cloud.clock.forward(3600)
    assert (await cloud.edge.call("GET", f"/v2/images/{image['id']}"))[0] == 200
    cloud.clock.forward(1)
    status, headers, body = await cloud.edge.call("GET", f"/v2/images/{image['id']}")
    assert status == 503
    assert "Retry-After" in headers
    assert b"upstream" in body


async def test_an_image_nobody_here_has_heard_of_is_503_while_cut_and_a_name_is_404(cloud: Cloud) -> None:
    cloud.line.cut()
    assert (await cloud.edge.call("GET", "/v2/images/6e3b2f0a-0000-4000-8000-000000000000"))[0] == 503
    assert (await cloud.edge.call("GET", "/v2/images/debian"))[0] == 404


async def test_many_requests_on_a_line_that_is_cut_are_all_answered_from_what_is_known(cloud: Cloud) -> None:
    images = [await cloud.centre.create(name=str(i)) for i in range(8)]
    for image in images:
        await cloud.edge.show(image["id"])
    cloud.clock.forward(TTL + 1)
    cloud.line.cut()
    answers = await asyncio.gather(*(cloud.edge.call("GET", f"/v2/images/{image['id']}") for image in images))
    assert {status for status, _, _ in answers} == {200}
    assert all("Skerry-Stale" in headers for _, headers, _ in answers)


async def test_the_edge_finds_out_by_itself_that_the_line_is_back(cloud: Cloud) -> None:
    image = await cloud.centre.create(name="old")
    await cloud.edge.show(image["id"])
    cloud.clock.forward(TTL + 1)
    cloud.line.cut()
    await cloud.edge.show(image["id"])
    assert (await cloud.edge.call("GET", "/skerry/v1/status"))[2]["upstream"]["state"] == "cut"
    await cloud.centre.patch(image["id"], {"op": "replace", "path": "/name", "value": "new"})
    cloud.line.restore()
    assert cloud.edge.site.edge is not None
    async with asyncio.timeout(10):
        await cloud.edge.site.edge.link.wait_connected()
    assert (await cloud.edge.show(image["id"]))["name"] == "new"


async def test_an_edge_that_starts_cut_off_serves_what_it_has(cloud: Cloud, tmp_path: Path) -> None:
    data = noise(1000)
    image = await cloud.centre.create(data, name="kept")
    config = settings(
        tmp_path / "third",
        upstream={"url": cloud.edge.site.config.upstream.url, "timeout": TIMEOUT, "ttl": TTL},
    )
    async with running(config) as edge:
        await edge.download(image["id"])
        await edge.call("GET", "/v2/images")
    cloud.line.cut()
    async with running(config) as edge:
        assert await edge.download(image["id"]) == data
        _, _, listing = await edge.call("GET", "/v2/images")
        assert names(listing) == ["kept"]


async def test_writes_go_to_the_upstream_and_are_seen_here_at_once(cloud: Cloud) -> None:
    image = await cloud.edge.create(noise(500_000), name="made at the edge")
    assert await cloud.centre.show(image["id"]) == image
    assert await cloud.edge.patch(image["id"], {"op": "replace", "path": "/name", "value": "new"}) == 200
    assert (await cloud.edge.show(image["id"]))["name"] == "new"
    assert (await cloud.edge.call("PUT", f"/v2/images/{image['id']}/tags/blue"))[0] == 204
    assert (await cloud.edge.show(image["id"]))["tags"] == ["blue"]
    assert (await cloud.edge.call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
    assert (await cloud.edge.call("GET", f"/v2/images/{image['id']}"))[0] == 404
    assert (await cloud.centre.call("GET", f"/v2/images/{image['id']}"))[0] == 404


async def test_writes_are_refused_clearly_while_the_line_is_cut(cloud: Cloud) -> None:
    image = await cloud.centre.create(noise(100))
    await cloud.edge.show(image["id"])
    cloud.line.cut()
    for method, path, body in (
        ("POST", "/v2/images", {"name": "x"}),
        ("DELETE", f"/v2/images/{image['id']}", None),
    ):
        status, headers, answer = await cloud.edge.call(method, path, json=body)
        assert (status, b"upstream" in answer, "Retry-After" in headers) == (503, True, True)
    assert cloud.edge.site.edge is not None
    assert not cloud.edge.site.edge.link.connected


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[Api, Api, ManualClock]]:
    """A centre and an edge that know ann, bob, and site, which is an administrator, by htpasswd."""
    htpasswd = tmp_path / "htpasswd"
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    htpasswd.write_text("".join(f"{user}:{hashed}\n" for user in ("ann", "bob", "site")))
    identity = {"method": "http_basic", "htpasswd": htpasswd, "admins": "site"}
    clock = ManualClock()
    async with running(settings(tmp_path / "centre", identity=identity)) as centre:
        upstream = {
            "url": centre.url,
            "ttl": TTL,
            "auth": "http_basic",
            "username": "site",
            "password": "secret",
        }
        async with running(settings(tmp_path / "edge", identity=identity, upstream=upstream), clock) as edge:
            yield centre, edge, clock


def as_user(name: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:secret".encode()).decode()}


async def test_the_rights_of_the_end_user_are_enforced_at_the_edge(
    guarded: tuple[Api, Api, ManualClock],
) -> None:
    centre, edge, clock = guarded
    record = {"name": "one", "disk_format": "raw", "container_format": "bare"}
    _, _, image = await edge.call("POST", "/v2/images", json=record, headers=as_user("ann"))
    assert image["owner"] == "ann"
    path = f"/v2/images/{image['id']}"
    octets = {"Content-Type": "application/octet-stream"}
    assert (await edge.call("PUT", f"{path}/file", data=b"bytes", headers=as_user("ann") | octets))[0] == 204

    assert (await edge.call("GET", path))[0] == 401
    assert (await edge.call("GET", path, headers=as_user("bob")))[0] == 404
    assert (await edge.call("GET", f"{path}/file", headers=as_user("bob")))[0] == 404
    assert (await edge.call("GET", "/v2/images", headers=as_user("bob")))[2]["images"] == []
    assert (await edge.call("GET", f"{path}/file", headers=as_user("ann")))[2] == b"bytes"

    # Shared with bob: seen by id when the knowledge of members is older than the TTL, and in the list.
    body = {"member": "bob"}
    assert (await centre.call("POST", f"{path}/members", json=body, headers=as_user("ann")))[0] == 200
    clock.forward(TTL + 1)
    assert (await edge.call("GET", f"{path}/file", headers=as_user("bob")))[2] == b"bytes"
    accept = {"status": "accepted"}
    assert (await edge.call("PUT", f"{path}/members/bob", json=accept, headers=as_user("bob")))[0] == 200
    _, _, listing = await edge.call("GET", "/v2/images", headers=as_user("bob"))
    assert [one["id"] for one in listing["images"]] == [image["id"]]

    # And no longer.
    assert (await centre.call("DELETE", f"{path}/members/bob", headers=as_user("ann")))[0] == 204
    clock.forward(TTL + 1)
    assert (await edge.call("GET", f"{path}/file", headers=as_user("bob")))[0] == 404


async def test_a_write_is_made_as_the_caller_and_never_as_the_site(
    guarded: tuple[Api, Api, ManualClock],
) -> None:
    centre, edge, _ = guarded
    record = {"name": "one", "visibility": "community"}
    _, _, image = await centre.call("POST", "/v2/images", json=record, headers=as_user("ann"))
    path = f"/v2/images/{image['id']}"
    assert (await edge.call("GET", path, headers=as_user("bob")))[0] == 200
    assert (await edge.call("DELETE", path, headers=as_user("bob")))[0] == 403
    assert (await edge.call("DELETE", path))[0] == 401
    assert (await centre.call("GET", path, headers=as_user("ann")))[0] == 200
    assert (await edge.call("DELETE", path, headers=as_user("ann")))[0] == 204


async def test_a_credential_that_upstream_refuses_is_an_error_at_start(tmp_path: Path) -> None:
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text("site:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode() + "\n")
    identity = {"method": "http_basic", "htpasswd": htpasswd, "admins": "site"}
    async with running(settings(tmp_path / "centre", identity=identity)) as centre:
        upstream = {"url": centre.url, "auth": "http_basic", "username": "site", "password": "wrong"}
        with pytest.raises(ConfigError, match="refuses this site's credential"):
            async with running(settings(tmp_path / "edge", upstream=upstream)):
                pass
