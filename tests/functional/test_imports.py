"""Image import: staged bytes and downloads from the web, through the API."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.functional.moments import Moments
from tests.functional.sites import Api, noise, running, settings
from tests.functional.test_uploads import BYTES, MiB, files, half_a_body
from tests.functional.test_web_download import Handler, Server, serving

DIRECT = {"method": {"name": "glance-direct"}}


def from_web(url: str) -> dict[str, Any]:
    return {"method": {"name": "web-download", "uri": url}}


@asynccontextmanager
async def site_for(folder: Path, *servers: Server, **sections: dict[str, Any]) -> AsyncIterator[Api]:
    """A site that may download from the ports of `servers` on 127.0.0.1."""
    ports = ",".join(str(server.port) for server in servers) or "80"
    imports = {"allowed_networks": "127.0.0.1/32", "allowed_ports": ports}
    async with running(settings(folder, **{"imports": imports, **sections})) as api:
        yield api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with site_for(tmp_path) as api:
        yield api


async def start(api: Api, image: dict[str, Any], document: dict[str, Any]) -> int:
    return (await api.call("POST", f"/v2/images/{image['id']}/import", json=document))[0]


async def settled(api: Api, image: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The record when no import runs any more, and (status, message) of its tasks."""
    assert api.site.home is not None
    await api.site.home.imports.settle()
    _, _, tasks = await api.call("GET", f"/v2/images/{image['id']}/tasks")
    return await api.show(image["id"]), [(task["status"], task["message"]) for task in tasks["tasks"]]


async def stage(api: Api, image: dict[str, Any], data: bytes) -> int:
    return (await api.call("PUT", f"/v2/images/{image['id']}/stage", data=data, headers=BYTES))[0]


async def test_staged_bytes_become_the_image_when_they_are_imported(api: Api) -> None:
    data = noise(2 * MiB)
    image = await api.create()
    assert await stage(api, image, data) == 204
    staged = await api.show(image["id"])
    assert (staged["status"], staged["size"]) == ("uploading", len(data))
    assert await start(api, image, DIRECT) == 202
    imported, tasks = await settled(api, image)
    assert (imported["status"], imported["os_hash_value"]) == ("active", hashlib.sha512(data).hexdigest())
    assert tasks == [("success", "")]
    assert files(api) == [image["id"]]


async def test_staged_bytes_are_there_after_a_restart(tmp_path: Path) -> None:
    async with site_for(tmp_path) as api:
        image = await api.create()
        await stage(api, image, b"staged")
    async with site_for(tmp_path) as api:
        assert (await api.show(image["id"]))["status"] == "uploading"
        assert await start(api, image, DIRECT) == 202
        imported, _ = await settled(api, image)
        assert imported["checksum"] == hashlib.md5(b"staged").hexdigest()


async def test_staging_that_breaks_off_leaves_the_image_queued_and_no_bytes(
    api: Api, moments: Moments
) -> None:
    image = await api.create()
    writer = await half_a_body(api, f"/v2/images/{image['id']}/stage", sent=b"some")
    await moments.reach("intake.written")
    assert (await api.show(image["id"]))["status"] == "uploading"
    writer.transport.abort()
    await moments.reach("abandon.recorded")
    assert (await api.show(image["id"]))["status"] == "queued"
    assert files(api) == []


async def test_staged_bytes_that_are_not_of_the_format_are_refused_with_a_reason(api: Api) -> None:
    image = await api.create(disk_format="qcow2")
    assert await stage(api, image, noise(MiB)) == 415
    assert (await api.show(image["id"]))["status"] == "queued"
    assert files(api) == []


async def test_a_deleted_image_takes_its_staged_bytes_with_it(api: Api) -> None:
    image = await api.create()
    await stage(api, image, b"staged")
    assert (await api.call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
    assert files(api) == []


async def test_an_image_that_is_not_staged_cannot_be_imported_directly(api: Api) -> None:
    image = await api.create()
    assert await start(api, image, DIRECT) == 409
    assert await stage(api, image, b"x") == 204
    assert await start(api, image, from_web("http://127.0.0.1/")) == 409


async def test_an_active_image_cannot_be_imported(api: Api) -> None:
    assert await start(api, await api.create(b"there"), DIRECT) == 409


async def test_an_image_without_formats_cannot_be_imported(api: Api) -> None:
    image = await api.create(container_format=None)
    assert await stage(api, image, b"x") == 204
    assert await start(api, image, DIRECT) == 409


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"method": {}},
        {"method": "glance-direct"},
        {"method": {"name": "copy-image"}},
        {"method": {"name": "web-download"}},
        {"method": {"name": "web-download", "uri": ["http://images.example/"]}},
        {"method": {"name": "glance-direct"}, "all_stores": "yes"},
    ],
)
async def test_an_import_that_says_nothing_useful_is_refused(api: Api, document: dict[str, Any]) -> None:
    assert await start(api, await api.create(), document) == 400


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2/", "http://169.254.169.254/meta", "file:///etc/passwd", "http://[::1]/"]
)
async def test_a_download_from_a_denied_address_is_refused_at_once(api: Api, url: str) -> None:
    image = await api.create()
    assert await start(api, image, from_web(url)) == 400
    assert (await api.show(image["id"]))["status"] == "queued"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "2130706434"])
async def test_a_download_from_a_name_without_an_allowed_address_is_refused_at_once(
    api: Api, host: str
) -> None:
    image = await api.create()
    status, _, body = await api.call(
        "POST",
        f"/v2/images/{image['id']}/import",
        json=from_web(f"http://{host}/"),
        headers={"Accept": "application/json"},
    )
    assert status == 400
    assert body["message"].startswith(f"URI for web-download does not pass filtering: http://{host}/")
    assert await settled(api, image) == (image, [])


async def test_an_image_comes_from_the_web(tmp_path: Path) -> None:
    data = noise(2 * MiB)

    async def image_file(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=data)

    async with serving(image_file) as server, site_for(tmp_path, server) as api:
        image = await api.create()
        assert await start(api, image, from_web(f"http://127.0.0.1:{server.port}/image")) == 202
        imported, tasks = await settled(api, image)
        assert (imported["status"], imported["checksum"]) == ("active", hashlib.md5(data).hexdigest())
        assert tasks == [("success", "")]


async def no_such_image(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404)


async def not_a_qcow2(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=noise(MiB))


async def endless(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(MiB))


async def stalling(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"a little")
    await asyncio.Event().wait()
    return response


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (no_such_image, "404 Not Found"),
        (not_a_qcow2, "does not match"),
        (endless, "too large"),
        (stalling, "bytes a second"),
    ],
)
async def test_a_download_that_fails_leaves_the_image_queued_and_says_why(
    tmp_path: Path, handler: Handler, reason: str
) -> None:
    limits = {"limits": {"image_size": "8MiB"}, "api": {"slow_after": "300ms"}}
    async with serving(handler) as server, site_for(tmp_path, server, **limits) as api:
        image = await api.create(disk_format="qcow2")
        assert await start(api, image, from_web(f"http://127.0.0.1:{server.port}/")) == 202
        record, tasks = await settled(api, image)
        assert (record["status"], record["size"]) == ("queued", None)
        assert [status for status, _ in tasks] == ["failure"]
        assert reason in tasks[0][1]
        assert files(api) == []


async def test_a_stop_of_the_site_ends_a_download_and_leaves_the_image_queued(
    tmp_path: Path, moments: Moments
) -> None:
    async with serving(stalling) as server:
        async with site_for(tmp_path, server) as api:
            image = await api.create()
            assert await start(api, image, from_web(f"http://127.0.0.1:{server.port}/")) == 202
            await moments.reach("intake.written")
            assert (await api.show(image["id"]))["status"] == "importing"
        async with site_for(tmp_path, server) as api:
            assert (await api.show(image["id"]))["status"] == "queued"
            assert files(api) == []


async def test_deleting_an_image_ends_its_download(tmp_path: Path, moments: Moments) -> None:
    async with serving(stalling) as server, site_for(tmp_path, server) as api:
        image = await api.create()
        await start(api, image, from_web(f"http://127.0.0.1:{server.port}/"))
        await moments.reach("intake.written")
        assert (await api.call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
        assert api.site.home is not None
        await api.site.home.imports.settle()
        assert files(api) == []
