"""Uploads that go on where they broke off (the IETF draft "Resumable Uploads for HTTP")."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.moments import Moments
from tests.functional.sites import Api, noise, running, settings
from tests.functional.test_uploads import MiB, files, half_a_body

PART = {"Content-Type": "application/partial-upload"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(settings(tmp_path, limits={"image_size": "8MiB"})) as api:
        yield api


def upload_of(image: dict[str, Any]) -> str:
    return f"/skerry/v1/images/{image['id']}/upload"


async def where(api: Api, image: dict[str, Any]) -> tuple[int, str]:
    """(offset, complete) as HEAD says."""
    status, headers, _ = await api.call("HEAD", upload_of(image))
    assert status == 204
    assert headers["Cache-Control"] == "no-store"
    return int(headers["Upload-Offset"]), headers["Upload-Complete"]


async def append(
    api: Api, image: dict[str, Any], data: bytes, offset: int, complete: str = "?0"
) -> tuple[int, Any, Any]:
    headers = {**PART, "Upload-Offset": str(offset), "Upload-Complete": complete}
    return await api.call("PATCH", upload_of(image), data=data, headers=headers)


async def test_a_queued_image_has_an_upload_that_stands_at_its_beginning(api: Api) -> None:
    assert await where(api, await api.create()) == (0, "?0")


async def test_an_image_can_come_in_pieces(api: Api) -> None:
    data = noise(3 * MiB)
    image = await api.create()
    for offset in (0, MiB):
        status, headers, _ = await append(api, image, data[offset : offset + MiB], offset)
        assert (status, headers["Upload-Offset"]) == (204, str(offset + MiB))
        assert (await api.show(image["id"]))["status"] == "queued"
    assert await where(api, image) == (2 * MiB, "?0")
    status, headers, _ = await append(api, image, data[2 * MiB :], 2 * MiB, "?1")
    assert (status, headers["Upload-Complete"]) == (204, "?1")
    whole = await api.show(image["id"])
    assert (whole["status"], whole["os_hash_value"]) == ("active", hashlib.sha512(data).hexdigest())
    assert await where(api, image) == (3 * MiB, "?1")


async def test_an_upload_goes_on_after_the_line_broke(api: Api, moments: Moments) -> None:
    data = noise(MiB)
    image = await api.create()
    writer = await half_a_body(
        api, upload_of(image), sent=data[:300_000], method="PATCH", Upload_Offset="0", Upload_Complete="?1",
        **{"Content-Type": "application/partial-upload"},
    )  # fmt: skip
    await moments.reach("intake.written")
    writer.transport.abort()
    await moments.reach("checkpoint.recorded")
    offset, complete = await where(api, image)
    assert 0 < offset <= 300_000
    assert complete == "?0"
    assert (await append(api, image, data[offset:], offset, "?1"))[0] == 204
    assert (await api.show(image["id"]))["os_hash_value"] == hashlib.sha512(data).hexdigest()


async def test_a_client_that_asks_again_ends_what_it_had_begun_on_another_line(
    api: Api, moments: Moments
) -> None:
    data = noise(MiB)
    image = await api.create()
    writer = await half_a_body(
        api, upload_of(image), sent=data[:300_000], method="PATCH", Upload_Offset="0", Upload_Complete="?1",
        **{"Content-Type": "application/partial-upload"},
    )  # fmt: skip
    await moments.reach("intake.written")
    offset, _ = await where(api, image)
    assert (await api.show(image["id"]))["status"] == "queued"
    assert (await append(api, image, data[offset:], offset, "?1"))[0] == 204
    assert (await api.show(image["id"]))["checksum"] == hashlib.md5(data).hexdigest()
    writer.transport.abort()


async def test_an_upload_goes_on_after_a_restart(tmp_path: Path) -> None:
    data = noise(2 * MiB)
    async with running(settings(tmp_path)) as api:
        image = await api.create()
        assert (await append(api, image, data[:MiB], 0))[0] == 204
    async with running(settings(tmp_path)) as api:
        assert await where(api, image) == (MiB, "?0")
        assert (await append(api, image, data[MiB:], MiB, "?1"))[0] == 204
        assert (await api.show(image["id"]))["os_hash_value"] == hashlib.sha512(data).hexdigest()


async def test_another_offset_is_a_conflict_that_names_the_right_one(api: Api) -> None:
    image = await api.create()
    await append(api, image, b"12345", 0)
    for wrong in (0, 4, 6):
        status, headers, problem = await append(api, image, b"more", wrong, "?1")
        assert status == 409
        assert headers["Upload-Offset"] == "5"
        assert headers["Content-Type"] == "application/problem+json"
        assert (problem["expected-offset"], problem["provided-offset"]) == (5, wrong)
    assert await where(api, image) == (5, "?0")


async def test_the_last_step_may_be_said_twice(api: Api) -> None:
    image = await api.create()
    await append(api, image, b"12345", 0, "?1")
    assert (await append(api, image, b"", 5, "?1"))[0] == 204
    assert (await append(api, image, b"more", 5, "?1"))[0] == 409
    assert (await api.show(image["id"]))["size"] == 5


async def test_a_cancelled_upload_leaves_no_bytes(api: Api) -> None:
    image = await api.create()
    await append(api, image, b"12345", 0)
    assert files(api) != []
    assert (await api.call("DELETE", upload_of(image)))[0] == 204
    assert files(api) == []
    assert await where(api, image) == (0, "?0")


async def test_a_plain_upload_takes_the_place_of_one_in_pieces(api: Api) -> None:
    image = await api.create()
    await append(api, image, b"other bytes", 0)
    await api.upload(image["id"], b"plain")
    assert (await api.show(image["id"]))["checksum"] == hashlib.md5(b"plain").hexdigest()


async def test_a_deleted_image_takes_its_unfinished_upload_with_it(api: Api) -> None:
    image = await api.create()
    await append(api, image, b"12345", 0)
    await api.call("DELETE", f"/v2/images/{image['id']}")
    assert files(api) == []
    assert (await api.call("HEAD", upload_of(image)))[0] == 404


async def test_bytes_that_cannot_become_the_image_are_not_kept(api: Api) -> None:
    image = await api.create(disk_format="qcow2")
    await append(api, image, noise(MiB), 0)
    status, _, _ = await append(api, image, noise(MiB), MiB, "?1")
    assert status == 415
    assert files(api) == []
    assert await where(api, image) == (0, "?0")


async def test_pieces_over_the_limit_are_not_kept(api: Api) -> None:
    image = await api.create()
    await append(api, image, bytes(5 * MiB), 0)
    status, _, _ = await append(api, image, bytes(5 * MiB), 5 * MiB)
    assert status == 413
    assert files(api) == []


async def test_a_format_that_changes_between_two_pieces_is_the_one_that_counts(api: Api) -> None:
    image = await api.create(disk_format="qcow2")
    await append(api, image, noise(MiB), 0)
    change = {"op": "replace", "path": "/disk_format", "value": "raw"}
    assert await api.patch(image["id"], change) == 200
    assert (await append(api, image, noise(MiB), MiB, "?1"))[0] == 204


@pytest.mark.parametrize(
    "wrong",
    [
        {"Upload-Offset": "-1"},
        {"Upload-Offset": "1e3"},
        {"Upload-Offset": ""},
        {"Upload-Complete": "yes"},
        {"Upload-Complete": ""},
    ],
)
async def test_headers_that_say_nothing_are_refused(api: Api, wrong: dict[str, str]) -> None:
    image = await api.create()
    headers = {**PART, "Upload-Offset": "0", "Upload-Complete": "?1", **wrong}
    assert (await api.call("PATCH", upload_of(image), data=b"x", headers=headers))[0] == 400
    assert await where(api, image) == (0, "?0")
