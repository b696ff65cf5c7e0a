"""Bytes on their way in by a plain upload: what becomes of the image when they come, and when they do not."""

import asyncio
import hashlib
import sqlite3
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from skerry import service
from skerry.catalog import sqlite
from tests.functional.moments import Moments
from tests.functional.sites import Api, eventually, noise, running, settings

BYTES = {"Content-Type": "application/octet-stream"}
MiB = 1 << 20


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    limits = {"image_size": "8MiB"}
    async with running(
        settings(tmp_path, limits=limits, api={"slow_after": "300ms", "min_rate": "1KiB"})
    ) as api:
        yield api


def files(api: Api) -> list[str]:
    """Everything that lies in the store."""
    root = api.site.config.images
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def left_queued(api: Api, image_id: str) -> None:
    """The image can be uploaded as if nothing had been."""
    image = await api.show(image_id)
    bytes_of_it = [image[name] for name in ("status", "size", "virtual_size", "checksum", "os_hash_value")]
    assert bytes_of_it == ["queued", None, None, None, None]
    assert files(api) == []
    await api.upload(image_id, b"second try")
    assert (await api.show(image_id))["status"] == "active"


async def test_an_upload_that_ends_while_nothing_can_be_written_leaves_the_image_queued_later(
    tmp_path: Path, moments: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.05)
    monkeypatch.setattr(service, "_HOUSEKEEPING", 0.05)
    async with running(settings(tmp_path)) as api:
        image_id = (await api.create())["id"]
        other = sqlite3.connect(tmp_path / "skerry.db", isolation_level=None)

        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            await moments.reach("begin.recorded")
            other.execute("BEGIN IMMEDIATE")
            yield b"last"

        status, _, _ = await api.call("PUT", f"/v2/images/{image_id}/file", data=body(), headers=BYTES)
        assert status == 503
        assert (await api.show(image_id))["status"] == "saving"
        other.close()

        await eventually(lambda: (found := api.site.records.cached(image_id)) and found.status == "queued")
        await left_queued(api, image_id)


async def half_a_body(
    api: Api, path: str, *, sent: bytes, method: str = "PUT", **headers: str
) -> asyncio.StreamWriter:
    """Begin a request of 1 MiB, send a part of its body, and leave it hanging."""
    site = urlsplit(api.url)
    _, writer = await asyncio.open_connection(site.hostname, site.port)
    lines = {"Host": site.netloc, "Content-Length": str(MiB), **BYTES, **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + sent)
    await writer.drain()
    return writer


def qcow2_on_another_file() -> bytes:
    """A qcow2 that would have its reader open /etc/passwd."""
    backing = b"/etc/passwd"
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 72, len(backing), 16, MiB, 0, 1, 65536, 131072, 1, 0, 0
    )
    return (header + backing).ljust(4 * 65536, b"\0")


async def test_an_uploaded_image_is_described_by_its_bytes(api: Api) -> None:
    data = noise(3 * MiB + 17)
    image = await api.create(data)
    assert image["status"] == "active"
    assert image["size"] == len(data)
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert image["os_hash_algo"] == "sha512"
    assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert image["virtual_size"] == len(data)
    assert (api.site.config.images / image["id"]).read_bytes() == data


async def test_a_chunked_upload_needs_no_length(api: Api) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1000

    image = await api.create()
    status, _, _ = await api.call("PUT", f"/v2/images/{image['id']}/file", data=pieces(), headers=BYTES)
    assert status == 204
    assert (await api.show(image["id"]))["size"] == 5000


async def test_an_empty_upload_is_an_empty_image(api: Api) -> None:
    image = await api.create(b"")
    assert (image["status"], image["size"]) == ("active", 0)


async def test_an_active_image_takes_no_other_bytes(api: Api) -> None:
    image = await api.create(b"first")
    status, _, _ = await api.call("PUT", f"/v2/images/{image['id']}/file", data=b"second", headers=BYTES)
    assert status == 409
    assert (await api.show(image["id"]))["checksum"] == hashlib.md5(b"first").hexdigest()


async def test_an_image_without_formats_takes_no_bytes(api: Api) -> None:
    image = await api.create(disk_format=None)
    status, _, body = await api.call("PUT", f"/v2/images/{image['id']}/file", data=b"x", headers=BYTES)
    assert status == 400
    assert b"disk_format must be set prior to saving data" in body
    assert (await api.show(image["id"]))["status"] == "queued"


async def test_a_body_that_is_not_said_to_be_bytes_is_refused(api: Api) -> None:
    image = await api.create()
    path = f"/v2/images/{image['id']}/file"
    status, _, _ = await api.call("PUT", path, data=b"{}", headers={"Content-Type": "application/json"})
    assert status == 415
    await left_queued(api, image["id"])


async def test_bytes_for_an_image_that_is_not_there_are_not_found(api: Api) -> None:
    path = "/v2/images/00000000-0000-4000-8000-000000000000/file"
    assert (await api.call("PUT", path, data=b"x", headers=BYTES))[0] == 404


async def test_an_image_over_the_limit_is_refused_by_its_length(api: Api) -> None:
    image = await api.create()
    path = f"/v2/images/{image['id']}/file"
    status, _, _ = await api.call("PUT", path, data=bytes(9 * MiB), headers=BYTES)
    assert status == 413
    await left_queued(api, image["id"])


async def test_an_image_over_the_limit_is_refused_without_a_length_too(api: Api) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(MiB)

    image = await api.create()
    status, _, _ = await api.call("PUT", f"/v2/images/{image['id']}/file", data=pieces(), headers=BYTES)
    assert status == 413
    await left_queued(api, image["id"])


async def test_a_size_that_is_not_that_of_the_body_is_refused(api: Api) -> None:
    image = await api.create()
    for said in ("4", "-1", "many"):
        headers = {**BYTES, "x-openstack-image-size": said}
        status, _, _ = await api.call("PUT", f"/v2/images/{image['id']}/file", data=b"12345", headers=headers)
        assert status == 400
    await left_queued(api, image["id"])


async def test_what_claims_to_be_qcow2_and_is_not_is_refused_with_a_reason(api: Api) -> None:
    image = await api.create(disk_format="qcow2")
    path = f"/v2/images/{image['id']}/file"
    status, _, body = await api.call("PUT", path, data=noise(MiB), headers=BYTES)
    assert status == 415
    assert b"does not match" in body
    assert (await api.show(image["id"]))["status"] == "queued"
    assert files(api) == []


async def test_a_qcow2_with_a_backing_file_is_refused_with_a_reason(api: Api) -> None:
    image = await api.create(disk_format="qcow2")
    path = f"/v2/images/{image['id']}/file"
    status, _, body = await api.call("PUT", path, data=qcow2_on_another_file(), headers=BYTES)
    assert status == 415
    assert b"backing_file" in body
    assert files(api) == []


async def test_an_upload_that_breaks_off_leaves_the_image_queued_and_no_bytes(
    api: Api, moments: Moments
) -> None:
    image = await api.create()
    writer = await half_a_body(api, f"/v2/images/{image['id']}/file", sent=noise(MiB // 2))
    await moments.reach("intake.written")
    assert (await api.show(image["id"]))["status"] == "saving"
    writer.transport.abort()
    await moments.reach("abandon.recorded")
    await left_queued(api, image["id"])


async def test_a_client_that_sends_too_slowly_is_dropped(api: Api) -> None:
    image = await api.create()
    site = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(site.hostname, site.port)
    head = f"PUT /v2/images/{image['id']}/file HTTP/1.1\r\nHost: x\r\nContent-Length: {MiB}\r\n"
    writer.write(f"{head}Content-Type: application/octet-stream\r\n\r\nten bytes.".encode())
    async with asyncio.timeout(10):
        answer = await reader.readline()
    writer.close()
    assert b" 408 " in answer
    await left_queued(api, image["id"])


async def test_nobody_else_can_send_bytes_while_an_upload_runs(api: Api, moments: Moments) -> None:
    image = await api.create()
    path = f"/v2/images/{image['id']}/file"
    writer = await half_a_body(api, path, sent=b"x")
    await moments.reach("intake.written")
    for other in (path, f"/v2/images/{image['id']}/stage"):
        assert (await api.call("PUT", other, data=b"other", headers=BYTES))[0] == 409
    assert (await api.show(image["id"]))["status"] == "saving"
    writer.transport.abort()


async def test_an_image_that_is_deleted_while_its_bytes_come_is_gone(api: Api, moments: Moments) -> None:
    image = await api.create()
    site = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(site.hostname, site.port)
    head = f"PUT /v2/images/{image['id']}/file HTTP/1.1\r\nHost: x\r\nContent-Length: {MiB}\r\n"
    writer.write(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + bytes(MiB // 2))
    await moments.reach("intake.written")
    assert (await api.call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
    async with asyncio.timeout(10):
        answer = await reader.readline()
    writer.close()
    assert b" 410 " in answer
    assert files(api) == []


async def test_a_deleted_image_leaves_no_bytes(api: Api) -> None:
    image = await api.create(b"bytes")
    assert files(api) == [image["id"]]
    assert (await api.call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
    assert files(api) == []


async def test_many_uploads_at_once_keep_apart(api: Api) -> None:
    contents = [noise(300_000) for _ in range(12)]
    images = await asyncio.gather(*(api.create(data) for data in contents))
    for image, data in zip(images, contents, strict=True):
        assert image["checksum"] == hashlib.md5(data).hexdigest()
        assert (api.site.config.images / image["id"]).read_bytes() == data


async def test_without_matching_another_format_passes_but_a_harmful_one_does_not(tmp_path: Path) -> None:
    async with running(settings(tmp_path, formats={"match": "false"})) as api:
        image = await api.create(noise(MiB), disk_format="vmdk")
        assert (image["status"], image["virtual_size"]) == ("active", None)
        image = await api.create(disk_format="vmdk")
        path = f"/v2/images/{image['id']}/file"
        status, _, body = await api.call("PUT", path, data=qcow2_on_another_file(), headers=BYTES)
        assert status == 415
        assert b"backing_file" in body
