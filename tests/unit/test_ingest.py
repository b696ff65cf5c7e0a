import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from skerry.core.errors import BadImage, NoSpace, StoreFailed, TooLarge
from skerry.transfer import writing
from skerry.transfer.ingest import BLOCK, Tally, ingest, reread
from skerry.transfer.inspection import Inspection

DATA = os.urandom(3 * BLOCK + 12345)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "image", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


async def pieces(data: bytes, size: int = 70_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(0)


async def broken_off(data: bytes) -> AsyncIterator[bytes]:
    async for piece in pieces(data):
        yield piece
    raise ConnectionResetError("gone")


def content(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


@pytest.mark.parametrize("size", [1, 1000, 70_000, BLOCK, len(DATA)])
async def test_bytes_are_written_and_digested_however_they_are_cut(fd: int, size: int) -> None:
    data = DATA[: 2000 if size == 1 else len(DATA)]
    tally = Tally()
    await ingest(pieces(data, size), fd, tally, limit=len(data))
    result = tally.result()
    assert content(fd) == data
    assert result.size == len(data)
    assert result.digests == {
        "md5": hashlib.md5(data).hexdigest(),
        "sha512": hashlib.sha512(data).hexdigest(),
    }


async def test_an_image_of_no_bytes_has_the_digest_of_nothing(fd: int) -> None:
    tally = Tally(("sha512",))
    await ingest(pieces(b""), fd, tally, limit=0)
    assert tally.result().digests == {"sha512": hashlib.sha512().hexdigest()}


async def test_what_arrived_before_a_broken_line_is_kept_and_can_be_gone_on_from(fd: int) -> None:
    tally = Tally()
    with pytest.raises(ConnectionResetError):
        await ingest(broken_off(DATA[:500_001]), fd, tally, limit=len(DATA))
    assert tally.size == 500_001
    assert content(fd) == DATA[:500_001]
    await ingest(pieces(DATA[500_001:]), fd, tally, limit=len(DATA))
    assert content(fd) == DATA
    assert tally.result().digests["sha512"] == hashlib.sha512(DATA).hexdigest()


async def test_after_a_restart_what_is_in_the_file_is_digested_again(fd: int) -> None:
    os.write(fd, DATA[:600_000])
    tally = Tally(("sha512",))
    await reread(fd, tally, 600_000)
    assert tally.size == 600_000
    await ingest(pieces(DATA[600_000:]), fd, tally, limit=len(DATA))
    assert content(fd) == DATA
    assert tally.result().digests == {"sha512": hashlib.sha512(DATA).hexdigest()}


async def test_rereading_a_file_that_is_too_short_is_a_failed_store(fd: int) -> None:
    os.write(fd, b"short")
    with pytest.raises(StoreFailed, match="ends at byte 5"):
        await reread(fd, Tally(), 100)


async def test_bytes_without_a_digest_are_still_counted(fd: int) -> None:
    os.write(fd, DATA[:10])
    tally = Tally(())
    await reread(fd, tally, 10)
    await ingest(pieces(DATA[10:]), fd, tally, limit=len(DATA))
    assert tally.result().size == len(DATA)
    assert content(fd) == DATA


async def test_one_byte_over_the_limit_is_too_large(fd: int) -> None:
    with pytest.raises(TooLarge, match="too large"):
        await ingest(pieces(DATA), fd, Tally(), limit=len(DATA) - 1)
    assert os.fstat(fd).st_size < len(DATA)


async def test_the_limit_counts_what_was_there_before(fd: int) -> None:
    tally = Tally()
    await ingest(pieces(DATA[:1000]), fd, tally, limit=1500)
    with pytest.raises(TooLarge):
        await ingest(pieces(DATA[1000:2000]), fd, tally, limit=1500)


async def test_a_file_system_that_takes_a_little_at_a_time_gets_all(
    fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda to, data, at: pwrite(to, data[:100_000], at))
    await ingest(pieces(DATA), fd, Tally(), limit=len(DATA))
    assert content(fd) == DATA


async def test_a_full_disk_ends_the_ingest_and_no_thread_waits_for_ever() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(NoSpace):
            await ingest(pieces(DATA * 8), full, Tally(), limit=len(DATA) * 8)
    finally:
        os.close(full)


async def test_progress_is_only_what_can_be_read_back(fd: int) -> None:
    seen: list[int] = []

    def report(size: int) -> None:
        assert os.pread(fd, size, 0) == DATA[:size]
        seen.append(size)

    await ingest(pieces(DATA), fd, Tally(), limit=len(DATA), report=report)
    assert seen == sorted(seen)
    assert seen[-1] == len(DATA)


async def test_a_slow_sender_is_not_waited_for_to_fill_a_block(fd: int) -> None:
    arrived = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        yield b"first"
        await arrived.wait()

    async with asyncio.timeout(10):
        await ingest(trickle(), fd, Tally(), limit=100, report=lambda _: arrived.set())
    assert content(fd) == b"first"


async def test_when_cancelled_what_came_is_kept_and_all_threads_have_ended(fd: int) -> None:
    handed_on = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield DATA
        handed_on.set()
        await asyncio.Event().wait()

    tally = Tally()
    task = asyncio.create_task(ingest(endless(), fd, tally, limit=len(DATA)))
    await handed_on.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tally.size == len(DATA)
    assert content(fd) == DATA


async def test_a_refused_image_is_refused_at_its_end(fd: int) -> None:
    tally = Tally(inspection=Inspection("qcow2"))
    await ingest(pieces(DATA), fd, tally, limit=len(DATA))
    with pytest.raises(BadImage, match="disk_format qcow2 does not match"):
        tally.result()


async def test_many_ingests_at_once_do_not_wait_for_each_others_threads(tmp_path: Path) -> None:
    async def one(name: str) -> str:
        descriptor = os.open(tmp_path / name, os.O_RDWR | os.O_CREAT)
        try:
            tally = Tally(("sha512",))
            await ingest(pieces(DATA), descriptor, tally, limit=len(DATA))
            return tally.result().digests["sha512"]
        finally:
            os.close(descriptor)

    async with asyncio.timeout(60):
        results = await asyncio.gather(*(one(str(number)) for number in range(12)))
    assert set(results) == {hashlib.sha512(DATA).hexdigest()}


async def test_what_has_come_is_handed_on_while_the_stream_pauses(fd: int) -> None:
    """However little it is, and whether or not the threads were busy when it came."""
    came = asyncio.Event()

    async def pausing() -> AsyncIterator[bytes]:
        yield DATA[:BLOCK]
        yield DATA[BLOCK : BLOCK + 10]  # while the first block is under way
        await came.wait()

    def report(size: int) -> None:
        if size == BLOCK + 10:
            came.set()

    tally = Tally()
    async with asyncio.timeout(10):
        await ingest(pausing(), fd, tally, limit=len(DATA), report=report)
    assert content(fd) == DATA[: BLOCK + 10]
    assert tally.result().digests["md5"] == hashlib.md5(DATA[: BLOCK + 10]).hexdigest()


@pytest.mark.parametrize(("number", "error"), [(errno.EIO, StoreFailed), (errno.ENOSPC, NoSpace)])
async def test_what_the_disk_says_of_bytes_on_their_way_to_it_ends_the_ingest(
    fd: int, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def fail(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(writing, "_FLUSH", BLOCK)
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(error):
        await ingest(pieces(DATA), fd, Tally(), limit=len(DATA))
