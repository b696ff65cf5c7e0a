"""Bytes of images that the site above wants: sent one after the other, resumed after a cut."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import aiohttp

from skerry.catalog.copies import Copies
from skerry.core.copy import CopyState
from skerry.core.errors import NotFound, SkerryError, UpstreamFailed
from skerry.core.retries import Retries
from skerry.stores.base import Store
from skerry.transfer.delivery import Delivery
from skerry.transfer.unbroken import unbroken
from skerry.upstream.client import UpstreamImages
from skerry.upstream.link import NO_ANSWER

log = logging.getLogger(__name__)

COPIES = "/skerry/v1/copies"
"""Below it a resumable upload for the bytes of each image, in the shape of `/skerry/v1/images/…/upload`."""

MEDIA_TYPE = "application/partial-upload"

_PIECE = 1 << 20
_RETRY = 5.0
_LAST_RETRY = 600.0
"""Seconds before an image that could not be sent is tried again: after the first time, and at most."""


class Sending:
    """Sends what was last said to be wanted, as far as it is whole here. `run` does the work."""

    def __init__(self, store: Store, copies: Copies, upstream: UpstreamImages, *, stall: float) -> None:
        """When for `stall` seconds nothing could be sent, it is asked whether the site above is there."""
        self._store = store
        self._copies = copies
        self._upstream = upstream
        self._stall = stall
        self._wanted: list[str] = []
        self._retries = Retries(first=_RETRY, longest=_LAST_RETRY)
        self._news = asyncio.Event()
        self.sent = 0
        """Bytes sent since the start."""

    def wanted(self, image_ids: Sequence[str]) -> None:
        """These are wanted now, and no others."""
        self._wanted = list(image_ids)
        self._news.set()

    def look_again(self) -> None:
        """Something has become whole here."""
        self._news.set()

    @property
    def waiting(self) -> list[str]:
        """What is wanted above and was not sent yet."""
        return list(self._wanted)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._upstream.link.wait_connected()
            self._news.clear()
            image_id = self._next()
            if image_id is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._retries.wait(time.monotonic())):
                        await self._news.wait()
                continue
            try:
                await self._send(image_id)
            except Exception as error:
                self._retries.failed(image_id, time.monotonic())
                known = isinstance(error, SkerryError)
                log.warning(
                    "image %s could not be sent up: %s", image_id, error, exc_info=None if known else error
                )
            else:
                self._retries.forget(image_id)
                with suppress(ValueError):
                    self._wanted.remove(image_id)

    def _next(self) -> str | None:
        now = time.monotonic()
        for image_id in self._wanted:
            copy = self._copies.get(image_id)
            if copy is not None and copy.state is CopyState.COMPLETE and self._retries.due(image_id, now):
                return image_id
        return None

    async def _send(self, image_id: str) -> None:
        """Send one image from where the site above has it. Nothing is sent of what it does not want now."""
        link = self._upstream.link
        try:
            delivery = Delivery.whole(self._store.path(image_id))
        except FileNotFoundError:
            raise NotFound(f"The file of image {image_id} is gone.", image=image_id) from None
        try:
            offset, complete = await link.call(lambda: self._stands(image_id), fallback=False)
            if complete:
                return
            before = self.sent
            await link.while_alive(
                lambda: self._append(image_id, delivery, offset),
                patience=self._stall,
                moved=lambda: self.sent - before,
            )
        except aiohttp.ClientError as error:
            if isinstance(error, NO_ANSWER):
                link.lost(str(error))
                raise link.away() from error
            raise UpstreamFailed(f"The site above does not speak proper HTTP: {error!r:.300}") from error
        finally:
            delivery.close()

    async def _stands(self, image_id: str) -> tuple[int, bool]:
        async with self._upstream.session.head(self._url(image_id), allow_redirects=False) as answer:
            if answer.status != 204:
                raise UpstreamFailed(f"The site above answers {answer.status} about image {image_id}.")
            offset = answer.headers.get("Upload-Offset", "")
            if not offset.isdecimal():
                raise UpstreamFailed(f"The site above does not say where image {image_id} stands.")
            return int(offset), answer.headers.get("Upload-Complete") == "?1"

    async def _append(self, image_id: str, delivery: Delivery, offset: int) -> None:
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(delivery.size - offset),
            "Upload-Offset": str(offset),
            "Upload-Complete": "?1",
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._upstream.timeout)
        async with self._upstream.session.patch(
            self._url(image_id),
            data=self._from(delivery, offset),
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        ) as answer:
            self._upstream.link.heard()
            if answer.status != 204:
                text = (await answer.content.read(300)).decode(errors="replace").strip()
                raise UpstreamFailed(f"The site above does not take image {image_id}: {text}")

    async def _from(self, delivery: Delivery, offset: int) -> AsyncIterator[bytes]:
        while offset < delivery.size:
            piece = await unbroken(asyncio.to_thread(os.pread, delivery.fd, _PIECE, offset))
            if not piece:
                return
            yield piece
            offset += len(piece)
            self.sent += len(piece)

    def _url(self, image_id: str) -> str:
        return f"{self._upstream.url}{COPIES}/{image_id}"
