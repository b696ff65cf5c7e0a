"""A caller that is cancelled at any write point: what it was doing is done or undone, never half."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skerry.core import write_points
from skerry.transfer.uploads import Uploads
from tests.functional.sites import Api, noise, running, settings
from tests.functional.test_uploads import files

CancelAt = Callable[[asyncio.Task[Any], str], None]

DATA = noise(700_000)
UPLOAD = ("begin.recorded", "intake.written", "store.bytes-durable", "store.renamed",
          "publish.bytes-visible", "publish.recorded")  # fmt: skip
STAGE = ("begin.recorded", "intake.written", "checkpoint.bytes-durable", "checkpoint.recorded")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(settings(tmp_path)) as api:
        yield api


async def body(data: bytes = DATA) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


def uploads(api: Api) -> Uploads:
    assert api.site.home is not None
    return api.site.home.uploads


@pytest.fixture
def cancel_at() -> Iterator[CancelAt]:
    """Have a task cancelled, once, when it passes a write point."""

    def arm(task: asyncio.Task[Any], label: str) -> None:
        loop = asyncio.get_running_loop()
        left = [label]

        def passed(reached: str) -> None:
            if reached in left:
                left.clear()
                loop.call_soon_threadsafe(task.cancel)

        write_points.set_hook(passed)

    yield arm
    write_points.set_hook(None)


async def over(task: asyncio.Task[Any]) -> None:
    """Wait for the end of a task, whichever it is."""
    await asyncio.wait([task], timeout=20)
    assert task.done()


@pytest.mark.parametrize("label", UPLOAD)
async def test_a_cancelled_upload_is_whole_or_was_not(api: Api, cancel_at: CancelAt, label: str) -> None:
    image = await api.create()
    task = asyncio.create_task(uploads(api).receive(image["id"], body()))
    cancel_at(task, label)
    await over(task)
    record = await api.show(image["id"])
    if record["status"] == "active":
        assert record["checksum"] == hashlib.md5(DATA).hexdigest()
        assert files(api) == [image["id"]]
    else:
        assert (record["status"], record["size"], files(api)) == ("queued", None, [])


@pytest.mark.parametrize("label", STAGE)
async def test_cancelled_staging_is_whole_or_was_not(api: Api, cancel_at: CancelAt, label: str) -> None:
    image = await api.create()
    task = asyncio.create_task(uploads(api).stage(image["id"], body()))
    cancel_at(task, label)
    await over(task)
    record = await api.show(image["id"])
    if record["status"] == "uploading":
        assert (record["size"], files(api)) == (len(DATA), [f".incoming/{image['id']}"])
    else:
        assert (record["status"], record["size"], files(api)) == ("queued", None, [])


@pytest.mark.parametrize("label", [label for label in UPLOAD if label != "begin.recorded"])
async def test_a_cancelled_resumable_upload_goes_on_or_is_whole(
    api: Api, cancel_at: CancelAt, label: str
) -> None:
    image = await api.create()
    task = asyncio.create_task(uploads(api).append(image["id"], 0, body(), complete=True))
    cancel_at(task, label)
    await over(task)
    progress = await uploads(api).progress(image["id"])
    assert (await api.show(image["id"]))["status"] == ("active" if progress.complete else "queued")
    if not progress.complete:
        await uploads(api).append(image["id"], progress.offset, body(DATA[progress.offset :]), complete=True)
    assert (await api.show(image["id"]))["checksum"] == hashlib.md5(DATA).hexdigest()
    assert files(api) == [image["id"]]


async def test_an_upload_that_is_cancelled_before_its_first_byte_leaves_the_image_queued(api: Api) -> None:
    async def silence() -> AsyncIterator[bytes]:
        began.set()
        await asyncio.Event().wait()
        yield b""

    began = asyncio.Event()
    image = await api.create()
    task = asyncio.create_task(uploads(api).receive(image["id"], silence()))
    await began.wait()
    assert (await api.show(image["id"]))["status"] == "saving"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await api.show(image["id"]))["status"] == "queued"
    assert files(api) == []
