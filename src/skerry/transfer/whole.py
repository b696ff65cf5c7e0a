"""The bytes of an image from first to last, from any image service that speaks Image API v2.

When the line breaks it goes on from the last byte, by `Range` where upstream allows it and else by passing
over what is already here.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from skerry.core.errors import TooLarge, WrongBytes
from skerry.core.image import Image
from skerry.transfer.ingest import Tally, ingest, reread
from skerry.transfer.pace import LEAST, Pace
from skerry.transfer.persist import persist
from skerry.transfer.publish import Durable
from skerry.transfer.way import UPSTREAM, Task

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)$")


class Whole:
    """See `way.Way`."""

    index = b""
    proven = False

    def __init__(self, task: Task) -> None:
        self._task = task
        self.partial = task.store.partial(task.image.id)
        self.durable: Durable = self.partial
        self.fd = self.partial.open()
        self.received = 0
        self._written = 0

    @property
    def done(self) -> int:
        """How far it is."""
        return self._written

    @property
    def sources(self) -> Mapping[str, int]:
        """All of it comes from upstream."""
        return {UPSTREAM: self.received}

    def ready(self, offset: int) -> int:
        """The end of what there is."""
        return self._written

    def want(self, offset: int) -> None:
        """Bytes come in their order."""

    async def bring(self) -> None:
        """See `Way.bring`. Goes on from what the file has."""
        task, size = self._task, self._task.size
        algorithm, expected = promised_digest(task.image)
        tally = Tally((algorithm,) if algorithm else ())
        if self.partial.size() > size:
            await asyncio.to_thread(self.partial.truncate, size)
        await reread(self.fd, tally, self.partial.size())
        self._report(tally.size)

        async def attempt() -> bool:
            async with aclosing(self._stream(tally.size)) as chunks:
                await ingest(chunks, self.fd, tally, limit=size, report=self._report)
            return tally.size == size

        try:
            if tally.size < size:
                await persist(
                    task.image.id,
                    task.upstream.link,
                    attempt,
                    progress=lambda: tally.size,
                    held_up=task.held_up,
                )
        except TooLarge:
            raise WrongBytes(f"more than the {size} bytes of its record came", image=task.image.id) from None
        if algorithm and tally.result().digests[algorithm] != expected:
            raise WrongBytes(f"the {algorithm} of the bytes is not the record's", image=task.image.id)

    async def anew(self) -> "Whole":
        """The same, from nothing."""
        self._report(0)
        await asyncio.to_thread(self.partial.truncate, 0)
        return self

    async def close(self) -> None:
        """Nothing is to be done."""

    def _report(self, written: int) -> None:
        self._written = written
        self._task.progressed()

    async def _stream(self, offset: int) -> AsyncGenerator[bytes, None]:
        task = self._task
        async with task.upstream.data(task.image.id, offset, stall=task.stall) as response:
            skip, total = offset, response.content_length
            if response.status == 206:
                match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
                if not match or int(match[1]) != offset:
                    raise WrongBytes("upstream sent another range than asked for", image=task.image.id)
                skip, total = 0, int(match[2])
            if total not in (None, task.size):
                raise WrongBytes(
                    f"upstream has {total} bytes, its record says {task.size}", image=task.image.id
                )
            pace = Pace(LEAST, task.stall)
            async for chunk in response.content.iter_any():
                pace.came(len(chunk))
                task.received(len(chunk))
                self.received += len(chunk)
                if skip:
                    passed = min(skip, len(chunk))
                    skip -= passed
                    chunk = chunk[passed:]
                if chunk:
                    yield chunk
                    await task.passed(len(chunk))
                pace.wait()


def promised_digest(image: Image) -> tuple[str | None, str | None]:
    """The strongest digest that the record gives."""
    algorithm = image.os_hash_algo
    if algorithm and image.os_hash_value and _digest_size(algorithm):
        return algorithm, image.os_hash_value.lower()
    if image.checksum:
        return "md5", image.checksum.lower()
    return None, None


def _digest_size(algorithm: str) -> int:
    """0 for what is not known here, and for SHAKE, whose digests have any length."""
    try:
        return hashlib.new(algorithm, usedforsecurity=False).digest_size
    except ValueError:
        return 0
