"""What holds for every request: versions, errors in the forms that clients read, methods, health."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from skerry.core.errors import StoreFailed
from tests.functional.people import Peopled, peopled


@pytest.fixture
async def stranger(site: Peopled) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as session:
        yield session


@pytest.mark.parametrize(
    ("path", "status"), [("/", 300), ("/v2", 300), ("/v2/", 300), ("/versions", 200), ("/versions/", 200)]
)
async def test_anybody_may_ask_for_the_versions(
    stranger: aiohttp.ClientSession, site: Peopled, path: str, status: int
) -> None:
    async with stranger.get(path) as answer:
        versions = (await answer.json())["versions"]
    assert answer.status == status
    assert versions[0]["id"] == "v2.17"
    assert versions[0]["status"] == "CURRENT"
    assert versions[0]["links"] == [{"rel": "self", "href": f"{site.url}/v2/"}]
    assert {version["status"] for version in versions[1:]} == {"SUPPORTED"}


async def test_anybody_may_ask_for_the_health(stranger: aiohttp.ClientSession) -> None:
    async with stranger.get("/healthcheck") as answer:
        assert (answer.status, await answer.text()) == (200, "OK")
    async with stranger.head("/healthcheck") as answer:
        assert answer.status == 204


@pytest.mark.parametrize("path", ["/v2/images", "/v2/schemas/image", "/v2/cache", "/skerry/v1/status"])
async def test_a_stranger_is_told_how_to_authenticate(stranger: aiohttp.ClientSession, path: str) -> None:
    async with stranger.get(path) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


async def test_an_error_is_html_for_glanceclient_and_json_for_openstacksdk(site: Peopled) -> None:
    html = await site.alice.get("/v2/images/<b>", headers={"Accept": "*/*"})
    assert (html.status, html.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert b"<h1>404 Not Found</h1>\n  No image found with ID &lt;b&gt;<br />" in html.body
    json = await site.alice.get("/v2/images/x", headers={"Accept": "application/json"})
    assert json.json == {
        "message": "No image found with ID x",
        "code": "404 Not Found",
        "title": "Not Found",
    }


async def test_the_schema_allows_the_formats_of_the_site(site: Peopled) -> None:
    schema = (await site.alice.get("/v2/schemas/image")).json
    assert "qcow2" in schema["properties"]["disk_format"]["enum"]
    assert schema["additionalProperties"] == {"type": "string"}
    assert (await site.alice.get("/v2/schemas/nothing")).status == 404


async def test_a_wrong_method_is_answered_with_the_right_ones(site: Peopled) -> None:
    answer = await site.alice.send("PUT", "/v2/images")
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST"}


async def test_a_path_that_does_not_exist_is_not_found_below_a_version(site: Peopled) -> None:
    assert (await site.alice.get("/v2/colours")).status == 404
    assert (await site.alice.get("/v1/images")).status == 300


async def test_every_answer_has_a_request_id(site: Peopled) -> None:
    ids = {
        (await site.alice.get(path)).headers["x-openstack-request-id"]
        for path in ("/", "/v2/images", "/v2/images/x", "/v2/colours")
    }
    assert len(ids) == 4
    assert all(each.startswith("req-") for each in ids)


async def test_what_the_site_can_do_is_discovered(site: Peopled) -> None:
    methods = (await site.alice.get("/v2/info/import")).json["import-methods"]["value"]
    assert methods == ["glance-direct", "web-download"]
    assert (await site.alice.get("/v2/info/stores")).status == 404
    assert (await site.alice.get("/v2/info/usage")).json == {"usage": {}}


async def test_a_site_without_a_cache_says_so(site: Peopled) -> None:
    assert (await site.admin.get("/v2/cache")).status == 404
    assert (await site.alice.get("/v2/cache")).status == 403


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with peopled(tmp_path, api={"slow_after": "200ms"}) as site:
        url = urlsplit(site.url)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        credential = site.alice.session.headers["Authorization"]
        writer.write(
            f"POST /v2/images HTTP/1.1\r\nHost: x\r\nAuthorization: {credential}\r\n"
            'Content-Length: 100\r\n\r\n{"name":'.encode()
        )
        async with asyncio.timeout(10):
            assert b" 408 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_an_unexpected_error_tells_the_log_and_not_the_client(
    site: Peopled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(catalogue: object, image_id: str) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(type(site.site.catalogue), "get", fail)
    answer = await site.alice.get("/v2/images/x")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "a secret of the inside" in caplog.text


async def test_half_an_answer_is_cut_off_and_not_ended(
    site: Peopled, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await site.alice.create(name="one", disk_format="raw", container_format="bare")
    path = f"/v2/images/{image['id']}/file"
    octets = {"Content-Type": "application/octet-stream"}
    assert (await site.alice.send("PUT", path, data=BytesIO(bytes(1 << 20)), headers=octets)).status == 204

    async def send_half(request: web.Request, response: web.StreamResponse, *_: object, **__: object) -> None:
        await response.write(bytes(1 << 10))
        raise StoreFailed("The disk has gone.")

    monkeypatch.setattr("skerry.api.image.download.send", send_half)
    with pytest.raises(aiohttp.ClientPayloadError):
        await site.alice.get(path)


async def test_bytes_are_kept_as_they_are_sent_whatever_their_encoding_is_called(site: Peopled) -> None:
    image = await site.alice.create(name="one", disk_format="raw", container_format="bare")
    path = f"/v2/images/{image['id']}/file"
    sent = gzip.compress(bytes(1 << 16))
    headers = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
    assert (await site.alice.send("PUT", path, data=BytesIO(sent), headers=headers)).status == 204
    assert (await site.alice.get(path)).body == sent
