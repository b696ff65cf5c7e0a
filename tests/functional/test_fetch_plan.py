"""A plan says what a fetch then does."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from skerry.cli.main import main
from skerry.core.units import Rate
from skerry.lab.shape import Shape
from tests.functional.clouds import Cloud, small_cloud
from tests.functional.sites import eventually
from tests.functional.test_chunks import SIZE, line, offered, system, whole
from tests.unit.chunking.disks import disk, noise, qcow2

PACKED = 1.03
"""Packs of noise are so much larger than their chunks, at most: frames, heads, tags."""


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with small_cloud(tmp_path) as cloud:
        yield cloud


async def plan(cloud: Cloud, image: str) -> dict[str, Any]:
    status, _, body = await cloud.edge.call("GET", f"/skerry/v1/images/{image}/plan")
    assert status == 200
    assert isinstance(body, dict)
    return body


async def held(cloud: Cloud, data: bytes, **attributes: Any) -> str:
    """An image that the edge has, with its index."""
    image = await offered(cloud, data, **attributes)
    await cloud.edge.download(image)
    await eventually(lambda: whole(cloud, image))
    return image


def new_noise(count: int) -> bytes:
    """What is in no version, and no codec makes smaller."""
    return noise(count, "new")


async def test_the_bytes_that_a_plan_names_are_those_that_travel(cloud: Cloud) -> None:
    old = await held(cloud, system(1), name="debian 1")
    data = system(1)[: SIZE // 2] + new_noise(SIZE // 4) + bytes(SIZE // 4)
    new = await offered(cloud, data, name="debian 2")
    before = line(cloud)
    said = await plan(cloud, new)
    assert line(cloud) == before
    assert said["by"] == "chunks"
    assert [(one["image_id"], one["name"]) for one in said["reused"]] == [(old, "debian 1")]
    assert said["reused"][0]["bytes"] + said["missing"] + said["holes"] == len(data)
    assert SIZE // 4 <= said["missing"] <= SIZE // 4 + (256 << 10)  # a chunk at each end may be new
    assert await cloud.edge.download(new) == data
    assert 0.9 * said["missing"] < line(cloud) - before < PACKED * said["missing"]


async def test_what_can_be_packed_is_never_more_than_the_plan_says(cloud: Cloud) -> None:
    await held(cloud, system(1), name="debian 1")
    data = qcow2(system(2), compress="zlib")
    new = await offered(cloud, data, name="debian 2", disk_format="qcow2")
    said = await plan(cloud, new)
    before = line(cloud)
    assert await cloud.edge.download(new) == data
    assert 0 < line(cloud) - before < said["missing"]


async def test_an_image_like_no_other_comes_whole_over_a_fast_line_and_the_plan_says_why(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.transfer.reuse._FAST", 1.0)
    data = noise(SIZE, "alone")
    image = await offered(cloud, data)
    said = await plan(cloud, image)
    assert (said["by"], said["missing"], said["reused"]) == ("whole", len(data), [])
    assert "fast" in said["reason"]
    before = line(cloud)
    await cloud.edge.download(image)
    assert line(cloud) - before == said["missing"]


async def test_what_has_no_index_comes_whole(cloud: Cloud) -> None:
    image = (await cloud.centre.create(noise(300_000, "small")))["id"]
    said = await plan(cloud, image)
    assert (said["by"], said["reason"], said["missing"]) == ("whole", "it is small", 300_000)


async def test_an_index_that_a_plan_has_asked_for_is_not_asked_for_again(cloud: Cloud) -> None:
    image = await offered(cloud, system(1))
    cloud.upstream.take()
    await plan(cloud, image)
    await plan(cloud, image)
    await cloud.edge.download(image)
    asked = [one for one in cloud.upstream.take() if one.endswith("/index") or "/index?" in one]
    assert len(asked) == 1


async def test_of_what_is_here_nothing_comes(cloud: Cloud) -> None:
    image = await held(cloud, system(1))
    said = await plan(cloud, image)
    assert (said["by"], said["missing"], said["seconds"]) == ("nothing", 0, 0.0)


async def test_what_is_half_here_comes_only_in_its_other_half(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.transfer.reuse._FAST", 1e12)
    data = disk(noise(4 * SIZE, "long"))
    image = await offered(cloud, data)
    first = await plan(cloud, image)
    assert first["missing"] == len(data)
    cloud.line.reshape(Shape(rate=Rate(40_000_000)))
    arriving = asyncio.create_task(cloud.edge.download(image))
    await eventually(lambda: line(cloud) > len(data) // 4)
    during = await plan(cloud, image)
    assert during["done"] + during["missing"] == len(data)
    assert during["missing"] < len(data)
    assert during["rate"] is None or during["rate"] < 10_000_000
    cloud.line.reshape(Shape())
    assert await arriving == data


async def test_without_its_upstream_a_site_has_no_plan(cloud: Cloud) -> None:
    image = await offered(cloud, system(1))
    await cloud.edge.show(image)
    cloud.line.cut()
    status, headers, _ = await cloud.edge.call("GET", f"/skerry/v1/images/{image}/plan")
    assert (status, "Retry-After" in headers) == (503, True)
    missing = "11111111-2222-4333-8444-555555555555"
    assert (await cloud.centre.call("GET", f"/skerry/v1/images/{missing}/plan"))[0] == 404


async def test_plan_and_pull_print_the_same(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    await held(cloud, system(1), name="debian 1")
    image = await offered(cloud, system(2), name="debian 2")
    site = ["--site", cloud.edge.url]
    assert await asyncio.to_thread(main, ["plan", image, *site]) == 0
    printed = capsys.readouterr().out
    assert "by its chunks" in printed
    assert "debian 1" in printed
    assert await asyncio.to_thread(main, ["pull", image, "--dry-run", *site]) == 0
    assert capsys.readouterr().out == printed
    assert await asyncio.to_thread(main, ["plan", image, "-f", "json", *site]) == 0
    assert json.loads(capsys.readouterr().out)["by"] == "chunks"
