"""Bring the bytes of one image here from upstream, once for all who wait for them.

A fetch outlives the clients that wait for it. Bytes are handed on as they become right, but the last piece
only when the digest of the whole is: wrong bytes are never a complete answer. How they come is a `way`'s.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping

from skerry.core.errors import SkerryError, UpstreamAway, WrongBytes
from skerry.core.image import Image
from skerry.stores.base import Partial, Store
from skerry.transfer.chunks import Chunks
from skerry.transfer.delivery import Delivery
from skerry.transfer.publish import Durable
from skerry.transfer.siblings import Siblings
from skerry.transfer.throttle import Throttle
from skerry.transfer.unbroken import unbroken
from skerry.transfer.way import Task, Way
from skerry.transfer.ways import choose
from skerry.upstream.client import UpstreamImages

log = logging.getLogger(__name__)

HELD_BACK = 64 << 10
"""Bytes at the end that no client gets before the whole is verified."""

_ATTEMPTS = 3
"""How often bytes with a wrong digest are fetched anew before the fetch is given up."""

_QUIET = 0.25
"""The share of the link's timeout after which silence makes us ask whether upstream is there."""


class Fetch:
    """One image on its way. `run` does the work; any number of deliveries follow it.

    `stall` is in seconds: a stream that brings nothing for so long is broken off and asked for again. `line`
    holds up all that comes from upstream; `rate` says how many bytes a second of this may come at the moment:
    None for any, 0 for none.
    """

    def __init__(
        self,
        image: Image,
        store: Store,
        upstream: UpstreamImages,
        chunks: Chunks,
        siblings: Siblings,
        *,
        stall: float,
        line: Throttle,
        rate: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.image = image
        self.size = image.size or 0
        self.began = time.time()
        self._upstream = upstream
        self._chunks = chunks
        self._task = Task(
            image,
            self.size,
            store,
            upstream,
            stall,
            Throttle(rate),
            line,
            self._progressed,
            self._note_held_up,
            siblings,
        )
        self._way: Way | None = None
        self._attempt = 1
        self._verified = False
        self._failure: BaseException | None = None
        self._held_up: UpstreamAway | None = None
        self._progress = asyncio.Event()

    @property
    def done(self) -> int:
        """Bytes here so far."""
        return self._way.done if self._way is not None else 0

    @property
    def fetched(self) -> int:
        """Bytes that this fetch has brought over the line."""
        return self._way.received if self._way is not None else 0

    @property
    def sources(self) -> Mapping[str, int]:
        """The same by where they came from: UPSTREAM, and names of sibling sites."""
        return self._way.sources if self._way is not None else {}

    @property
    def rate_now(self) -> int:
        """Bytes a second that it has brought on average."""
        seconds = time.time() - self.began
        return round(self.fetched / seconds) if seconds > 0 else 0

    @property
    def durable(self) -> Durable | None:
        """What there is, for a checkpoint."""
        return None if self._way is None else self._way.durable

    @property
    def partial(self) -> Partial:
        """The file with the right bytes, once `run` has returned."""
        assert self._way is not None
        return self._way.partial

    @property
    def index(self) -> bytes:
        """The file of the image's index, if that came with it."""
        return self._way.index if self._way is not None else b""

    async def begun(self) -> None:
        """Return when it is known how the image comes. Raises what ended the fetch before that."""
        while self._way is None:
            if self._held_up is not None:
                raise self._held_up.with_traceback(None)
            await self._change(0)

    async def delivery(self, offset: int) -> Delivery:
        """The file as it grows, as soon as the byte at `offset` may be handed out.

        Raises what ended the fetch, and UpstreamAway when the line is cut before that. The delivery itself
        waits for a line that is cut; it ends with WrongBytes when its bytes turn out wrong.
        """
        while not self._verified and self._ready(offset, self._attempt) <= offset:
            if not self._upstream.link.connected:
                raise self._upstream.link.away()
            if self._held_up is not None:
                raise self._held_up.with_traceback(None)
            await self._change(offset)
        assert self._way is not None
        attempt = self._attempt
        return Delivery(
            os.dup(self._way.fd),
            self.size,
            lambda at: self._ready(at, attempt),
            lambda at: self._wait(at, attempt),
        )

    def close(self) -> None:
        """Give the file back, when `run` has ended or will never begin; deliveries keep theirs."""
        if self._way is not None:
            os.close(self._way.fd)
        if not self._verified and self._failure is None:
            self._failure = asyncio.CancelledError()
            self._progressed()

    async def run(self) -> None:
        """Fetch and verify. When it returns, `partial` holds the right bytes, not yet durable.

        Raises NotFound, UpstreamFailed, WrongBytes (after several attempts), NoSpace, StoreFailed. What there
        is is kept then and when cancelled, so that a later fetch can go on from it.
        """
        watcher = asyncio.create_task(self._watch())
        try:
            self._way = await choose(self._task, self._chunks)
            self._progressed()
            await self._bring(self._way)
            self._verified = True
        except BaseException as error:
            self._failure = error
            raise
        finally:
            watcher.cancel()
            if self._way is not None:
                await unbroken(self._way.close())
            self._progressed()

    async def _bring(self, way: Way) -> None:
        while True:
            try:
                return await way.bring()
            except WrongBytes as error:
                log.error("image %s: %s (attempt %d of %d)", self.image.id, error, self._attempt, _ATTEMPTS)
                if self._attempt == _ATTEMPTS:
                    raise
                self._attempt += 1
                self._progressed()
                old = way
                self._way = way = await way.anew()
                if way is not old:
                    os.close(old.fd)

    def _ready(self, offset: int, attempt: int) -> int:
        """The end of the bytes from `offset` on that may be handed out; none to whom an earlier attempt has
        given wrong ones."""
        if attempt != self._attempt or self._way is None:
            return 0
        if self._verified:
            return self.size
        most = self.size if self._way.proven else max(0, self.size - HELD_BACK)
        return min(self._way.ready(offset), most)

    async def _wait(self, offset: int, attempt: int) -> None:
        while self._ready(offset, attempt) <= offset:
            if attempt != self._attempt:
                raise WrongBytes("The bytes sent so far turned out wrong.", image=self.image.id)
            await self._change(offset)

    async def _change(self, offset: int) -> None:
        """Wait for news of the bytes from `offset` on. Raises what ended the fetch."""
        if isinstance(self._failure, SkerryError):
            raise self._failure.with_traceback(None)
        if self._failure is not None:
            raise UpstreamAway(f"Image {self.image.id} did not arrive whole.", retry_after=2)
        if self._way is not None:
            self._way.want(offset)
        if self._progress.is_set():
            self._progress = asyncio.Event()
        await self._progress.wait()

    async def _watch(self) -> None:
        """When nothing comes, find out whether the line is there, and let those know who wait for it."""
        link = self._upstream.link
        while True:
            before = self.done
            await asyncio.sleep(self._upstream.timeout * _QUIET)
            if self.done == before and not await link.ask():
                self._progressed()
                await link.wait_connected()

    def _progressed(self) -> None:
        self._progress.set()

    def _note_held_up(self, why: UpstreamAway | None) -> None:
        self._held_up = why
        if why is not None:
            self._progressed()
