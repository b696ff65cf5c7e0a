"""Bring the bytes of one image here from upstream, once for all who wait for them.

A fetch outlives the clients that wait for it. When the line breaks it goes on from the last byte, by `Range`
where upstream allows it and else by passing over what is already here. Bytes are handed on as they arrive,
but the last piece only when the digest of the whole is right: wrong bytes are never a complete answer.
"""

import asyncio
import hashlib
import logging
import os
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from skerry.core.errors import SkerryError, TooLarge, UpstreamAway, UpstreamFailed, WrongBytes
from skerry.core.image import Image
from skerry.stores.base import Partial
from skerry.transfer.delivery import Delivery
from skerry.transfer.ingest import Tally, ingest, reread
from skerry.transfer.throttle import Throttle
from skerry.upstream.client import UpstreamImages
from skerry.upstream.link import NO_ANSWER

log = logging.getLogger(__name__)

HELD_BACK = 64 << 10
"""Bytes at the end that no client gets before the whole is verified."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)$")

_ATTEMPTS = 3
"""How often bytes with a wrong digest are fetched anew before the fetch is given up."""

_FRUITLESS = 5
"""How often in a row upstream may answer without sending a byte."""

_HELD_UP = 2.0
"""Seconds until an upstream that has said that it is cut off itself is asked again."""

_QUIET = 0.25
"""The share of the link's timeout after which silence makes us ask whether upstream is there."""


class Fetch:
    """One image on its way. `run` does the work; any number of deliveries follow it.

    `stall` is in seconds: a stream that brings nothing for so long is broken off and asked for again. `rate`
    says how many bytes a second may come at the moment: None for any, 0 for none.
    """

    def __init__(
        self,
        image: Image,
        partial: Partial,
        upstream: UpstreamImages,
        *,
        stall: float,
        rate: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.image = image
        self.size = image.size or 0
        self.began = time.time()
        self._partial = partial
        self._fd = partial.open()
        self._upstream = upstream
        self._stall = stall
        self._throttle = Throttle(rate)
        self._written = 0
        self._had = 0
        self._attempt = 1
        self._verified = False
        self._failure: BaseException | None = None
        self._held_up: UpstreamAway | None = None
        self._progress = asyncio.Event()

    @property
    def done(self) -> int:
        """Bytes here so far."""
        return self._written

    @property
    def fetched(self) -> int:
        """Bytes that this fetch has brought itself, without those that were here before."""
        return max(0, self._written - self._had)

    @property
    def rate_now(self) -> int:
        """Bytes a second that it has brought on average."""
        seconds = time.time() - self.began
        return round(self.fetched / seconds) if seconds > 0 else 0

    async def delivery(self, offset: int) -> Delivery:
        """The file as it grows, as soon as the byte at `offset` may be handed out.

        Raises what ended the fetch, and UpstreamAway when the line is cut before that. The delivery itself
        waits for a line that is cut; it ends with WrongBytes when its bytes turn out wrong.
        """
        fd = os.dup(self._fd)
        try:
            while not self._verified and self._ready(self._attempt) <= offset:
                if not self._upstream.link.connected:
                    raise self._upstream.link.away()
                if self._held_up is not None:
                    raise self._held_up.with_traceback(None)
                await self._change()
        except BaseException:
            os.close(fd)
            raise
        attempt = self._attempt
        return Delivery(fd, self.size, lambda: self._ready(attempt), lambda sent: self._wait(sent, attempt))

    def close(self) -> None:
        """Give the file back, when `run` has ended or will never begin; deliveries keep theirs."""
        os.close(self._fd)
        if not self._verified and self._failure is None:
            self._failure = asyncio.CancelledError()
            self._progress.set()

    async def run(self) -> None:
        """Fetch and verify. When it returns, the partial file holds the right bytes, not yet durable.

        Raises NotFound, UpstreamFailed, WrongBytes (after several attempts), NoSpace, StoreFailed. The file
        is kept then and when cancelled, so that a later fetch can go on from it.
        """
        watcher = asyncio.create_task(self._watch())
        try:
            while True:
                try:
                    await self._receive()
                    break
                except WrongBytes as error:
                    log.error(
                        "image %s: %s (attempt %d of %d)", self.image.id, error, self._attempt, _ATTEMPTS
                    )
                    if self._attempt == _ATTEMPTS:
                        raise
                    self._attempt += 1
                    self._report(0)
                    await asyncio.to_thread(self._partial.truncate, 0)
            self._verified = True
        except BaseException as error:
            self._failure = error
            raise
        finally:
            watcher.cancel()
            self._progress.set()

    def _ready(self, attempt: int) -> int:
        """Bytes that may be handed out; none to whom an earlier attempt has given wrong ones."""
        if attempt != self._attempt:
            return 0
        return self.size if self._verified else min(self._written, max(0, self.size - HELD_BACK))

    async def _wait(self, sent: int, attempt: int) -> None:
        while self._ready(attempt) <= sent:
            if attempt != self._attempt:
                raise WrongBytes("The bytes sent so far turned out wrong.", image=self.image.id)
            await self._change()

    async def _change(self) -> None:
        """Wait for news. Raises what ended the fetch."""
        if isinstance(self._failure, SkerryError):
            raise self._failure.with_traceback(None)
        if self._failure is not None:
            raise UpstreamAway(f"Image {self.image.id} did not arrive whole.", retry_after=2)
        if self._progress.is_set():
            self._progress = asyncio.Event()
        await self._progress.wait()

    async def _watch(self) -> None:
        """When nothing comes, find out whether the line is there, and let those know who wait for it."""
        link = self._upstream.link
        while True:
            before = self._written
            await asyncio.sleep(self._upstream.timeout * _QUIET)
            if self._written == before and not await link.ask():
                self._progress.set()
                await link.wait_connected()

    def _report(self, written: int) -> None:
        self._written = written
        self._progress.set()

    async def _receive(self) -> None:
        algorithm, expected = promised_digest(self.image)
        tally = Tally((algorithm,) if algorithm else ())
        try:
            if self._partial.size() > self.size:
                await asyncio.to_thread(self._partial.truncate, self.size)
            self._had = self._partial.size()
            await reread(self._fd, tally, self._had)
            self._report(tally.size)
            async with aclosing(self._bytes(tally.size)) as chunks:
                await ingest(chunks, self._fd, tally, limit=self.size, report=self._report)
        except TooLarge:
            raise WrongBytes(
                f"more than the {self.size} bytes of its record came", image=self.image.id
            ) from None
        if algorithm and tally.result().digests[algorithm] != expected:
            raise WrongBytes(f"the {algorithm} of the bytes is not the record's", image=self.image.id)

    async def _bytes(self, offset: int) -> AsyncGenerator[bytes, None]:
        """The image from `offset` on, over as many requests as it takes.

        A line that is cut is waited for, and so is that of an upstream that is cut off itself, unless nothing
        has come yet; an upstream that answers and sends nothing is given up.
        """
        link = self._upstream.link
        fruitless = 0
        while offset < self.size:
            await link.wait_connected()
            await asyncio.sleep(2.0 ** (fruitless - 3) if fruitless else 0)
            before = offset
            try:
                async with aclosing(self._stream(offset)) as chunks:
                    async for chunk in chunks:
                        self._held_up = None
                        offset += len(chunk)
                        yield chunk
                        await self._throttle.passed(len(chunk))
                trouble = "nothing more came"
            except NO_ANSWER as error:
                trouble = repr(error)
                await link.ask()
            except UpstreamAway as error:
                if not offset:
                    raise
                trouble, self._held_up = str(error), error
                self._progress.set()
                await asyncio.sleep(_HELD_UP)
                continue
            except UpstreamFailed as error:
                if 300 <= error.status < 500:
                    raise
                trouble = str(error)
            if offset < self.size:
                log.warning("image %s: broke off at byte %d: %s", self.image.id, offset, trouble)
            if offset > before:
                fruitless = 0
            elif link.connected:
                fruitless += 1
            if fruitless == _FRUITLESS:
                raise UpstreamFailed(
                    f"The upstream site does not send the image: {trouble}.", image=self.image.id
                )

    async def _stream(self, offset: int) -> AsyncGenerator[bytes, None]:
        link = self._upstream.link
        async with self._upstream.data(self.image.id, offset, stall=self._stall) as response:
            skip, total = offset, response.content_length
            if response.status == 206:
                match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
                if not match or int(match[1]) != offset:
                    raise WrongBytes("upstream sent another range than asked for", image=self.image.id)
                skip, total = 0, int(match[2])
            if total not in (None, self.size):
                raise WrongBytes(
                    f"upstream has {total} bytes, its record says {self.size}", image=self.image.id
                )
            async for chunk in response.content.iter_any():
                link.heard()
                self._upstream.received += len(chunk)
                if skip:
                    passed = min(skip, len(chunk))
                    skip -= passed
                    chunk = chunk[passed:]
                if chunk:
                    yield chunk


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
