"""`kill -9` at every write point, and at any other moment.

The site starts again by itself, in the old state or the new one, with no half image shown as whole and
nothing to clean by hand.
"""

import asyncio
import hashlib
import os
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import skerry
from tests.fault.killable import OF_A_TREE, OF_INDEXES, Killable, killable
from tests.functional.sites import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

KiB, MiB = 1 << 10, 1 << 20
DATA = os.urandom(600 * KiB)
HALF = len(DATA) // 2

Step = Callable[[Killable, str], Awaitable[Any]]


async def nothing(site: Killable, image: str) -> None: ...


async def upload(site: Killable, image: str) -> None:
    await site.call("PUT", f"/v2/images/{image}/file", DATA)


async def stage(site: Killable, image: str) -> None:
    await site.call("PUT", f"/v2/images/{image}/stage", DATA)


async def import_staged(site: Killable, image: str) -> None:
    body = b'{"method": {"name": "glance-direct"}}'
    await site.call("POST", f"/v2/images/{image}/import", body, Content_Type="application/json")
    async with asyncio.timeout(10):
        while await site.status(image) == "importing":
            pass


async def first_piece(site: Killable, image: str) -> None:
    await site.append(image, 0, DATA[:HALF], complete=False)


async def last_piece(site: Killable, image: str) -> None:
    await site.append(image, HALF, DATA[HALF:], complete=True)


async def cancel(site: Killable, image: str) -> None:
    await site.call("DELETE", f"/skerry/v1/images/{image}/upload")


async def delete(site: Killable, image: str) -> None:
    await site.call("DELETE", f"/v2/images/{image}")


@dataclass(frozen=True)
class Operation:
    """What is done, after what, and the write points that it passes."""

    do: Step
    after: Step
    labels: tuple[str, ...]


_PUBLISH = ("store.bytes-durable", "store.renamed", "publish.bytes-visible", "publish.recorded")
_CHECKPOINT = ("checkpoint.bytes-durable", "checkpoint.recorded")

OPERATIONS = {
    "upload": Operation(upload, nothing, ("begin.recorded", "intake.written", *_PUBLISH)),
    "stage": Operation(stage, nothing, ("begin.recorded", "intake.written", *_CHECKPOINT)),
    "import": Operation(import_staged, stage, _PUBLISH),
    "first piece": Operation(first_piece, nothing, ("intake.written", *_CHECKPOINT)),
    "last piece": Operation(last_piece, first_piece, ("intake.written", *_PUBLISH)),
    "upload after a piece": Operation(upload, first_piece, ("begin.recorded", "intake.written", *_PUBLISH)),
    "cancel": Operation(cancel, first_piece, ("abandon.bytes-gone", "abandon.recorded")),
    "delete": Operation(delete, upload, ("delete.recorded",)),
    "delete staged": Operation(delete, stage, ("delete.recorded",)),
    "delete unfinished": Operation(delete, first_piece, ("delete.recorded",)),
}

OF_A_CACHE = {
    "keep.bytes-visible", "keep.recorded", "reopen.recorded", "evict.recorded", "evict.bytes-gone",
    "aside.recorded", "assembly.bytes-durable",
}  # fmt: skip
"""Write points that only a site with an upstream passes; that of an assembly is in `test_assembly_killed`."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One site's folder for all of it: what one case would leave behind, the next one finds."""
    return tmp_path_factory.mktemp("killed")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(folder: Path) -> AsyncIterator[Killable]:
    async with killable(folder) as site:
        yield site


async def test_every_write_point_of_a_home_is_one_that_a_case_below_dies_at() -> None:
    source = Path(skerry.__file__).parent
    written = {
        label
        for file in source.rglob("*.py")
        for label in re.findall(r'reached\("(.+?)"\)', file.read_text())
    }
    died_at = {label for operation in OPERATIONS.values() for label in operation.labels}
    assert written - OF_A_CACHE - OF_INDEXES - OF_A_TREE == died_at


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_passes_the_write_points_that_it_is_killed_at(site: Killable, name: str) -> None:
    operation = OPERATIONS[name]
    image = await site.create()
    await operation.after(site, image)
    site.passed()
    await operation.do(site, image)
    passed: list[str] = []

    def all_passed() -> bool:
        passed.extend(site.passed())
        return len(passed) >= len(operation.labels)

    await eventually(all_passed)
    assert passed == list(operation.labels)
    await site.check_whole()


@pytest.mark.parametrize(
    ("name", "label"), [(name, label) for name, operation in OPERATIONS.items() for label in operation.labels]
)
async def test_a_site_killed_at_a_write_point_is_in_the_old_state_or_the_new_one(
    site: Killable, name: str, label: str
) -> None:
    operation = OPERATIONS[name]
    undisturbed = await site.create()
    await operation.after(site, undisturbed)
    old = await state(site, undisturbed)
    await operation.do(site, undisturbed)
    new = await state(site, undisturbed)

    image = await site.create()
    await operation.after(site, image)
    site.die_at(label)
    with pytest.raises(aiohttp.ClientError):
        await to_the_end(site, operation, image)
    await site.died()
    await site.start()

    allowed = [old, new]
    if name == "upload after a piece":
        allowed.append(("queued", 0))  # the pieces are given up before the first byte of the upload comes
    if name == "cancel" or label == "begin.recorded":
        allowed.append(("queued", 0))
    assert await state(site, image) in allowed
    await site.check_whole()
    await finish(site, image)
    await site.check_whole()


async def to_the_end(site: Killable, operation: Operation, image: str) -> None:
    """Do it, and see that the site is still there afterwards."""
    await operation.do(site, image)
    await site.status(image)


async def state(site: Killable, image: str) -> tuple[str, int]:
    """What there is of an image: its status, and how much of a resumable upload."""
    status = await site.status(image)
    return status, await site.offset(image) if status == "queued" else 0


async def finish(site: Killable, image: str) -> None:
    """Do what a client would do next; the image becomes whole."""
    match await site.status(image):
        case "queued":
            offset = await site.offset(image)
            assert await site.append(image, offset, DATA[offset:], complete=True) == 204
        case "uploading":
            await import_staged(site, image)
        case "deleted":
            return
    status, _, record = await site.call("GET", f"/v2/images/{image}")
    assert (status, record["status"]) == (200, "active")
    assert record["os_hash_value"] == hashlib.sha512(DATA).hexdigest()


async def test_a_site_killed_at_any_moment_of_an_upload_starts_again_by_itself(site: Killable) -> None:
    chance = random.Random(2026)
    data = chance.randbytes(24 * MiB)
    for _ in range(6):
        images = [await site.create() for _ in range(3)]
        sending = asyncio.gather(
            site.call("PUT", f"/v2/images/{images[0]}/file", data),
            site.call("PUT", f"/v2/images/{images[1]}/stage", data),
            site.append(images[2], 0, data, complete=True),
            return_exceptions=True,
        )
        await asyncio.wait([sending], timeout=chance.uniform(0.01, 0.5))
        await site.end()
        await sending
        await site.start()
        await site.check_whole()


@pytest.mark.parametrize("label", sorted(OF_INDEXES))
async def test_a_site_killed_while_it_keeps_an_index_has_the_image_and_makes_the_index_again(
    tmp_path: Path, label: str
) -> None:
    data = os.urandom(2 * MiB)
    async with killable(tmp_path) as site:
        image = await site.create()
        site.die_at(label)
        assert (await site.call("PUT", f"/v2/images/{image}/file", data))[0] == 204
        await site.died()
        await site.start()
        assert (await site.call("GET", f"/v2/images/{image}/file"))[2] == data
        async with asyncio.timeout(20):
            while (answer := await site.call("GET", f"/skerry/v1/images/{image}/index"))[0] == 404:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        _, headers, index = answer
        assert headers["ETag"] == f'"{hashlib.sha256(index).hexdigest()}"'
        await site.check_whole()


async def test_a_resumable_upload_that_is_killed_again_and_again_comes_to_its_end(site: Killable) -> None:
    chance = random.Random(1)
    data = chance.randbytes(12 * MiB)
    image = await site.create()
    for _ in range(4):
        offset = await site.offset(image)
        site.die_at(chance.choice(("intake.written", "checkpoint.bytes-durable", "checkpoint.recorded")))
        with pytest.raises(aiohttp.ClientError):
            await site.append(image, offset, data[offset : offset + 3 * MiB], complete=False)
        await site.died()
        await site.start()
        assert await site.offset(image) >= offset
    while (offset := await site.offset(image)) < 9 * MiB:
        assert await site.append(image, offset, data[offset : offset + 3 * MiB], complete=False) == 204
    assert await site.append(image, offset, data[offset:], complete=True) == 204
    _, _, record = await site.call("GET", f"/v2/images/{image}")
    assert record["os_hash_value"] == hashlib.sha512(data).hexdigest()
    await site.check_whole()


async def test_what_a_long_piece_has_brought_is_kept_while_it_still_comes(site: Killable) -> None:
    async def long() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield bytes(MiB)

    image = await site.create()
    site.die_at("checkpoint.recorded")
    with pytest.raises(aiohttp.ClientError):
        await site.append(image, 0, long(), complete=True)
    await site.died()
    await site.start()
    assert await site.offset(image) >= 64 * MiB
    await site.check_whole()
    assert (await site.call("DELETE", f"/v2/images/{image}"))[0] == 204
    await site.check_whole()


async def test_a_disk_that_is_full_halfway_keeps_nothing(tmp_path: Path) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(MiB)

    async with killable(tmp_path, largest=4 * MiB) as site:
        image = await site.create()
        for path in ("file", "stage"):
            status, _, _ = await site.call("PUT", f"/v2/images/{image}/{path}", unannounced())
            assert status == 507
            assert await site.status(image) == "queued"
            await site.check_whole()
        assert await site.append(image, 0, unannounced(), complete=False) == 507
        assert await site.offset(image) == 0
        await site.check_whole()
        await upload(site, image)
        assert await site.status(image) == "active"
