"""Images that come by their chunks: what is held is copied, only the rest goes over the line."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from skerry.catalog.copies import Copies
from skerry.core.units import Rate
from skerry.lab.shape import Shape
from tests.functional.clouds import Cloud, small_cloud
from tests.functional.sites import eventually
from tests.unit.chunking.disks import disk, noise, qcow2, words

SIZE = 8 << 20


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with small_cloud(tmp_path) as cloud:
        yield cloud


def system(version: int) -> bytes:
    """A guest's disk of 8 MiB: much of it the same in each version, some new, some a little changed."""
    kept = [noise(SIZE // 4, "kept"), words(SIZE // 4, "kept")]
    changed = bytearray(words(SIZE // 8, "changed"))
    for place in range(0, len(changed), 64 << 10):
        changed[place : place + 9] = b"version%02d" % version
    return disk(kept[0], bytes(changed), SIZE // 8, kept[1], noise(SIZE // 16, version), SIZE // 16 * 3)


def whole(cloud: Cloud, image: str) -> bool:
    """Whether the edge has a copy with an index, and so has chunks for the next one."""
    return indexed(cloud.edge.site.copies, image)


def indexed(copies: Copies, image: str) -> bool:
    copy = copies.get(image)
    return copy is not None and bool(copy.index)


async def offered(cloud: Cloud, data: bytes, **attributes: Any) -> str:
    """An image at the centre, with its index made."""
    image: str = (await cloud.centre.create(data, **attributes))["id"]
    await eventually(lambda: indexed(cloud.centre.site.copies, image))
    return image


def reached(cloud: Cloud, count: int) -> bool:
    """Whether the edge has received more than so many bytes."""
    return line(cloud) > count


def line(cloud: Cloud) -> int:
    """Bytes of images that the edge has received."""
    assert cloud.edge.site.edge is not None
    return cloud.edge.site.edge.upstream.received


async def test_a_new_version_brings_only_what_has_changed(cloud: Cloud) -> None:
    old = await offered(cloud, system(1), name="debian 1")
    await cloud.edge.download(old)
    await eventually(lambda: whole(cloud, old))
    new = await offered(cloud, system(2), name="debian 2")
    before = line(cloud)
    assert await cloud.edge.download(new) == system(2)
    assert line(cloud) - before < len(system(2)) // 8
    await eventually(lambda: whole(cloud, new))
    incoming = cloud.edge.site.config.images / ".incoming"
    await eventually(lambda: not list(incoming.iterdir()))


@pytest.mark.parametrize("compress", ["", "zlib"])
async def test_a_disk_in_another_format_brings_only_what_has_changed(cloud: Cloud, compress: str) -> None:
    old = await offered(cloud, system(1), name="debian 1")
    await cloud.edge.download(old)
    await eventually(lambda: whole(cloud, old))
    data = qcow2(system(2), compress=compress)
    new = await offered(cloud, data, name="debian 2", disk_format="qcow2")
    before = line(cloud)
    assert await cloud.edge.download(new) == data
    assert line(cloud) - before < SIZE // 7


async def test_an_image_like_no_other_comes_whole_over_a_fast_line(cloud: Cloud) -> None:
    data = noise(SIZE, "alone")
    image = await offered(cloud, data)
    before = line(cloud)
    assert await cloud.edge.download(image) == data
    assert line(cloud) - before == len(data)
    await eventually(lambda: whole(cloud, image))


async def test_what_is_an_index_at_home_is_said_in_the_record_and_not_to_users(cloud: Cloud) -> None:
    image = await offered(cloud, system(1))
    record = (await cloud.centre.site.records.get(image)).image
    copy = cloud.centre.site.copies.get(image)
    assert copy is not None
    assert record.index == copy.index
    shown = await cloud.centre.show(image)
    assert "index" not in shown
    _, headers, body = await cloud.centre.call("GET", f"/skerry/v1/images/{image}/index")
    assert headers["ETag"] == f'"{record.index}"'
    assert hashlib.sha256(body).hexdigest() == record.index


async def test_a_small_image_has_no_index_and_comes_whole(cloud: Cloud) -> None:
    data = os.urandom(300_000)
    image = (await cloud.centre.create(data))["id"]
    assert await cloud.edge.download(image) == data
    assert (await cloud.centre.call("GET", f"/skerry/v1/images/{image}/index"))[0] == 404


async def test_an_index_is_deleted_with_its_image(cloud: Cloud) -> None:
    image = await offered(cloud, system(1))
    beside = [cloud.centre.site.config.images / folder / image for folder in (".index", ".sketch")]
    assert all(path.exists() for path in beside)
    assert (await cloud.centre.call("DELETE", f"/v2/images/{image}"))[0] == 204
    assert not any(path.exists() for path in beside)


async def test_a_range_of_an_image_that_is_on_its_way_comes_first(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.transfer.reuse._FAST", 1e12)
    data = disk(words(6 * SIZE, "large"))
    image = await offered(cloud, data)
    cloud.line.reshape(Shape(rate=Rate(4_000_000)))
    whole_one = asyncio.create_task(cloud.edge.download(image))
    end = len(data) - (1 << 20)
    headers = {"Range": f"bytes={end}-{end + 99_999}"}
    status, _, body = await cloud.edge.call("GET", f"/v2/images/{image}/file", headers=headers)
    assert (status, body) == (206, data[end : end + 100_000])
    assert not whole_one.done()
    assert line(cloud) < len(data) // 4
    cloud.line.reshape(Shape())
    assert await whole_one == data


async def test_who_reads_here_and_there_waits_for_little_that_was_asked_for_before(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.transfer.reuse._FAST", 1e12)
    data = noise(6 * SIZE, "here and there")
    image = await offered(cloud, data)
    cloud.line.reshape(Shape(rate=Rate(16_000_000)))
    for start in (len(data) // 2, len(data) // 4 * 3):
        before = line(cloud)
        headers = {"Range": f"bytes={start}-{start + 99_999}"}
        _, _, body = await cloud.edge.call("GET", f"/v2/images/{image}/file", headers=headers)
        assert body == data[start : start + 100_000]
    came = line(cloud) - before
    cloud.line.reshape(Shape())
    assert await cloud.edge.download(image) == data
    assert came < 6 << 20


async def test_an_image_whose_line_is_cut_again_and_again_brings_no_byte_twice(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.transfer.reuse._FAST", 1e12)
    data = disk(noise(2 * SIZE, "long"))
    image = await offered(cloud, data)
    cloud.line.reshape(Shape(rate=Rate(8_000_000)))
    arriving = asyncio.create_task(cloud.edge.download(image))
    for part in range(1, 6):
        await eventually(partial(reached, cloud, part * len(data) // 7))
        cloud.line.cut()
        await eventually(lambda: not cloud.edge.site.edge.link.connected)  # type: ignore[union-attr]
        cloud.line.restore()
    assert await arriving == data
    assert line(cloud) < len(data) * 1.15
