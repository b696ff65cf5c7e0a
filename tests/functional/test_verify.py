"""A disk that loses bits: copies are read again, and what is wrong of them comes anew."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from skerry.cli.main import main
from skerry.core.copy import CopyState
from tests.functional.clouds import Cloud, small_cloud
from tests.functional.sites import Api, eventually, noise
from tests.functional.test_chunks import SIZE, indexed, line, offered, system, whole
from tests.unit.chunking.disks import qcow2

KiB = 1 << 10


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with small_cloud(tmp_path) as cloud:
        yield cloud


async def verify(site: Api, **asked: Any) -> dict[str, Any]:
    """What came of reading copies again."""
    status, _, answer = await site.call("POST", "/skerry/v1/verify", json=asked or {"share": 1})
    assert status == 202, answer
    assert site.site.scrubber is not None
    await eventually(lambda: not site.site.scrubber.running)  # type: ignore[union-attr]
    found = (await site.call("GET", "/skerry/v1/verify"))[2]
    assert isinstance(found, dict)
    return found


def damage(site: Api, image: str, *places: int) -> None:
    """Change bytes of a whole copy, as a disk does."""
    path = site.site.config.images / image
    with path.open("r+b") as file:
        for place in places:
            file.seek(place)
            byte = file.read(1)
            file.seek(place)
            file.write(bytes([byte[0] ^ 0x55]))


async def healthy(cloud: Cloud, image: str, data: bytes) -> None:
    """Return when the edge has it whole again; it is right, and nothing lies beside it."""
    copies = cloud.edge.site.copies
    await eventually(lambda: (copy := copies.get(image)) and copy.state is CopyState.COMPLETE)
    copy = copies.get(image)
    assert copy is not None
    assert copy.trouble == ""
    assert (cloud.edge.site.config.images / image).read_bytes() == data
    incoming = cloud.edge.site.config.images / ".incoming"
    await eventually(lambda: not list(incoming.iterdir()))


async def brought(cloud: Cloud, data: bytes, **attributes: Any) -> str:
    """An image that the edge has, with its index."""
    image = await offered(cloud, data, **attributes)
    assert await cloud.edge.download(image) == data
    await eventually(lambda: whole(cloud, image))
    return image


async def test_copies_that_are_right_are_said_to_be_and_bring_nothing(cloud: Cloud) -> None:
    image = await brought(cloud, system(1))
    before = line(cloud)
    found = await verify(cloud.edge)
    assert found == {"running": False, "ahead": 0, "verified": 1, "bytes": SIZE, "wrong": []}
    assert line(cloud) == before
    assert (await verify(cloud.centre, images=[image]))["wrong"] == []


@pytest.mark.parametrize("form", ["raw", "zlib"])
async def test_only_the_chunks_that_are_wrong_come_anew(cloud: Cloud, form: str) -> None:
    data = system(1) if form == "raw" else qcow2(system(1), compress=form)
    image = await brought(cloud, data, disk_format="raw" if form == "raw" else "qcow2")
    before = line(cloud)
    damage(cloud.edge, image, len(data) // 3, len(data) // 2)

    (wrong,) = (await verify(cloud.edge))["wrong"]

    assert (wrong["image_id"], wrong["healing"]) == (image, True)
    assert "chunks are wrong" in wrong["trouble"]
    await healthy(cloud, image, data)
    assert line(cloud) - before < 1100 * KiB, "two chunks, or two clusters' worth"
    assert await cloud.edge.download(image) == data
    assert (await verify(cloud.edge))["wrong"] == []


@pytest.mark.parametrize("what", ["cut off", "gone", "longer"])
async def test_a_file_that_is_no_longer_there_as_it_was_comes_again(cloud: Cloud, what: str) -> None:
    data = noise(SIZE // 2)
    image = await brought(cloud, data)
    path = cloud.edge.site.config.images / image
    match what:
        case "cut off":
            os.truncate(path, len(data) // 2)
        case "longer":
            with path.open("ab") as file:
                file.write(b"more")
        case "gone":
            path.unlink()
    (wrong,) = (await verify(cloud.edge))["wrong"]
    assert wrong["healing"]
    await healthy(cloud, image, data)


async def test_a_small_image_comes_again_as_a_whole(cloud: Cloud) -> None:
    data = noise(100_000)
    image = (await cloud.centre.create(data))["id"]
    await cloud.edge.download(image)
    await healthy(cloud, image, data)
    damage(cloud.edge, image, 5)
    (wrong,) = (await verify(cloud.edge))["wrong"]
    assert "all of them come anew" in wrong["trouble"]
    await healthy(cloud, image, data)


async def test_who_asks_meanwhile_never_gets_a_wrong_byte(cloud: Cloud) -> None:
    data = system(1)
    image = await brought(cloud, data)
    damage(cloud.edge, image, 1000, SIZE // 2)
    cloud.line.cut()
    (wrong,) = (await verify(cloud.edge))["wrong"]
    assert wrong["healing"]
    status, _, _ = await cloud.edge.call("GET", f"/v2/images/{image}/file")
    assert status == 503
    cloud.line.restore()
    await healthy(cloud, image, data)


async def test_damage_at_its_home_is_said_and_not_handed_out_until_a_person_has_mended_it(
    cloud: Cloud,
) -> None:
    data = system(1)
    image = await offered(cloud, data)
    damage(cloud.centre, image, 1000)

    (wrong,) = (await verify(cloud.centre, images=[image]))["wrong"]

    assert not wrong["healing"]
    status, _, body = await cloud.centre.call("GET", f"/v2/images/{image}/file")
    assert (status, b"damaged at its home" in body) == (503, True)
    damage(cloud.centre, image, 1000)  # the same bits again
    assert (await verify(cloud.centre, images=[image]))["wrong"] == []
    assert await cloud.centre.download(image) == data


async def test_a_copy_is_read_again_by_itself_when_it_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.transfer.scrub._EVERY", 0.01)
    async with small_cloud(tmp_path) as cloud:
        data = system(1)
        image = await brought(cloud, data)
        damage(cloud.edge, image, 1000)
        scrubber = cloud.edge.site.scrubber
        assert scrubber is not None
        cloud.clock.forward(29 * 86400)
        assert scrubber.wrong_copies == 0
        cloud.clock.forward(2 * 86400)
        await eventually(lambda: scrubber.wrong_copies == 1)
        await healthy(cloud, image, data)
        assert indexed(cloud.edge.site.copies, image)


@pytest.mark.parametrize("asked", [{}, {"share": 0}, {"share": 2}, {"images": [5]}, {"share": "all"}])
async def test_what_makes_no_sense_is_refused(cloud: Cloud, asked: Any) -> None:
    assert (await cloud.edge.call("POST", "/skerry/v1/verify", json=asked))[0] == 400


async def test_an_image_that_is_not_whole_here_is_not_found(cloud: Cloud) -> None:
    image = await offered(cloud, system(1))
    status, _, _ = await cloud.edge.call("POST", "/skerry/v1/verify", json={"images": [image]})
    assert status == 404


async def test_the_command_says_what_is_wrong_by_its_exit_code(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    image = await brought(cloud, system(1))
    command = ["verify", "--site", cloud.edge.url]
    assert await asyncio.to_thread(main, command) == 0
    assert "1 copies were read, 8.0 MiB" in capsys.readouterr().out
    damage(cloud.edge, image, 1000)
    assert await asyncio.to_thread(main, [*command, image]) == 8
    assert "it is being healed" in capsys.readouterr().out
    await healthy(cloud, image, system(1))
