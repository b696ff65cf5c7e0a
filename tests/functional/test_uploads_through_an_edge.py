"""Bytes handed to an edge go to its upstream: whole, staged or in pieces, as the line lets them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from skerry.cli.main import main
from skerry.lab.link import Link
from tests.functional.moments import Moments
from tests.functional.sites import Api, line_to, noise, running, settings
from tests.functional.test_imports import DIRECT
from tests.functional.test_resumable_uploads import append, where
from tests.functional.test_uploads import BYTES, MiB, files, half_a_body


@dataclass
class Two:
    """A centre, an edge, and the line between them."""

    centre: Api
    edge: Api
    line: Link


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    slow = {"slow_after": "500ms"}
    async with (
        running(settings(tmp_path / "centre", api=slow)) as centre,
        line_to(centre.url) as (line, url),
        running(settings(tmp_path / "edge", upstream={"url": url, "timeout": "500ms", "stall": 1})) as edge,
    ):
        yield Two(centre, edge, line)


async def test_an_image_uploaded_at_an_edge_is_at_the_centre(two: Two) -> None:
    data = noise(2 * MiB)
    image = await two.edge.create(data)
    assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert files(two.centre) == [image["id"]]


async def test_an_image_is_staged_and_imported_through_an_edge(two: Two) -> None:
    image = await two.edge.create()
    path = f"/v2/images/{image['id']}"
    assert (await two.edge.call("PUT", f"{path}/stage", data=b"staged", headers=BYTES))[0] == 204
    assert (await two.edge.call("POST", f"{path}/import", json=DIRECT))[0] == 202
    assert two.centre.site.home is not None
    await two.centre.site.home.imports.settle()
    _, _, tasks = await two.edge.call("GET", f"{path}/tasks")
    assert [task["status"] for task in tasks["tasks"]] == ["success"]
    assert await two.edge.download(image["id"]) == b"staged"


async def test_an_image_can_come_in_pieces_through_an_edge(two: Two) -> None:
    data = noise(2 * MiB)
    image = await two.edge.create()
    assert (await append(two.edge, image, data[:MiB], 0))[0] == 204
    assert await where(two.edge, image) == (MiB, "?0")
    status, headers, _ = await append(two.edge, image, data[MiB:], 0, "?1")
    assert (status, headers["Upload-Offset"]) == (409, str(MiB))
    assert (await append(two.edge, image, data[MiB:], MiB, "?1"))[0] == 204
    assert await two.edge.download(image["id"]) == data


async def test_a_refusal_of_the_centre_comes_through_the_edge_with_its_reason(two: Two) -> None:
    image = await two.edge.create(disk_format="qcow2")
    path = f"/v2/images/{image['id']}/file"
    status, _, body = await two.edge.call("PUT", path, data=noise(MiB), headers=BYTES)
    assert status == 415
    assert b"does not match" in body
    assert files(two.centre) == []


async def test_a_client_that_goes_away_from_an_edge_leaves_the_image_queued_at_the_centre(
    two: Two, moments: Moments
) -> None:
    image = await two.edge.create()
    writer = await half_a_body(two.edge, f"/v2/images/{image['id']}/file", sent=noise(MiB // 2))
    await moments.reach("intake.written")
    writer.transport.abort()
    await moments.reach("abandon.recorded")
    assert (await two.centre.show(image["id"]))["status"] == "queued"
    assert files(two.centre) == []


async def test_a_line_that_is_cut_under_an_upload_leaves_what_came_and_it_goes_on_from_there(
    two: Two, moments: Moments
) -> None:
    data = noise(2 * MiB)
    image = await two.edge.create()

    async def half() -> AsyncIterator[bytes]:
        yield data[:MiB]
        await moments.reach("intake.written")
        two.line.cut()
        yield data[MiB:]

    headers = {"Content-Type": "application/partial-upload", "Upload-Offset": "0", "Upload-Complete": "?1"}
    path = f"/skerry/v1/images/{image['id']}/upload"
    status, _, _ = await two.edge.call("PATCH", path, data=half(), headers=headers)
    assert status == 503
    await moments.reach("checkpoint.recorded")
    two.line.restore()
    assert two.edge.site.edge is not None
    async with asyncio.timeout(20):
        await two.edge.site.edge.upstream.link.wait_connected()
    offset, _ = await where(two.edge, image)
    assert 0 < offset <= MiB
    assert (await append(two.edge, image, data[offset:], offset, "?1"))[0] == 204
    assert await two.edge.download(image["id"]) == data


async def test_push_brings_a_file_through_an_edge(two: Two, tmp_path: Path) -> None:
    file = tmp_path / "some.raw"
    file.write_bytes(noise(3 * MiB))
    command = ["push", str(file), "--name", "pushed", "--disk-format", "raw", "--site", two.edge.url]
    assert await asyncio.to_thread(main, command) == 0
    _, _, page = await two.centre.call("GET", "/v2/images?name=pushed")
    assert [image["os_hash_value"] for image in page["images"]] == [
        hashlib.sha512(file.read_bytes()).hexdigest()
    ]
