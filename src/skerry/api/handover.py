"""How the leader of a site hands a delivery over to an aide: a file, and how much of it may be sent.

The leader has decided all that there is to decide. Its answer names a descriptor of its own, which the aide
opens anew (`/proc/PID/fd/N`, so that it is that file whatever has become of its name), and goes on with lines
of numbers: how many bytes from the start may be sent by now. When that is the whole image the aide needs the
leader no more; the leader keeps the copy from eviction until the aide has closed the connection.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from skerry.core.errors import StoreFailed
from skerry.transfer.delivery import Delivery

ASKED = "Skerry-Hand-Over"
"""The header by which an aide asks for it."""

GIVEN = "Skerry-Delivery"
"""The header of the answer: process, descriptor, device and inode, then offset, count, size of the whole."""

_LOOK = 0.5
"""Seconds between looks whether the aide is still there."""

CLOSING = web.AppKey("closing", asyncio.Event)
"""Set when the process is told to end."""


def is_asked_for(request: web.Request) -> bool:
    """Whether an aide makes this request, and can open the leader's files. No client comes in that way."""
    if ASKED not in request.headers or request.transport is None:
        return False
    connection = request.transport.get_extra_info("socket")
    return connection is not None and connection.family == socket.AF_UNIX


async def hand_over(
    request: web.Request, response: web.StreamResponse, delivery: Delivery, offset: int, count: int
) -> None:
    """Hand a delivery over as the answer; returns when the aide is done with it.

    Raises what ends the delivery; the answer is broken off then.
    """
    file = os.fstat(delivery.fd)
    words = (os.getpid(), delivery.fd, file.st_dev, file.st_ino, offset, count, delivery.size)
    response.headers[GIVEN] = " ".join(map(str, words))
    response.content_length = None
    await response.prepare(request)
    said, end = offset - 1, offset + count
    while said < end and _is_there(request):
        if (ready := delivery.ready(max(said, offset))) > said:
            said = ready
            await response.write(b"%d\n" % said)
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await delivery.wait(max(said, offset))
    closing = request.app[CLOSING]
    while _is_there(request) and not closing.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await closing.wait()


def _is_there(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery from the leader, and which part of it the client is to have."""

    delivery: Delivery
    offset: int
    count: int


@asynccontextmanager
async def received(answer: aiohttp.ClientResponse) -> AsyncIterator[Received]:
    """At the aide: what the leader has handed over, while this is open. Raises OSError when it is gone."""
    words = (int(word) for word in answer.headers[GIVEN].split(" "))
    process, descriptor, device, inode, offset, count, size = words
    fd = os.open(f"/proc/{process}/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    file = os.fstat(fd)
    if (file.st_dev, file.st_ino) != (device, inode):
        os.close(fd)
        raise OSError("The leader has ended, and another process has its number.")
    progress = _Progress(size)
    reading = asyncio.create_task(progress.read(answer), name="delivery")
    delivery = Delivery(fd, size, lambda _: progress.ready, progress.wait)
    try:
        yield Received(delivery, offset, count)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        delivery.close()


class _Progress:
    """How much may be sent, as the leader says."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._ended = False
        self._news = asyncio.Event()
        self.ready = 0

    async def read(self, answer: aiohttp.ClientResponse) -> None:
        """Follow the leader until it ends, or all is there."""
        with suppress(aiohttp.ClientError, OSError, ValueError):
            while self.ready < self._size and (line := await answer.content.readline()):
                self.ready = int(line)
                self._tell()
        self._ended = True
        self._tell()

    async def wait(self, sent: int) -> None:
        """Return once more than `sent` bytes may be sent. Raises StoreFailed when no more will."""
        while self.ready <= sent:
            if self._ended:
                raise StoreFailed("The process that brought these bytes has ended, or they turned out wrong.")
            await self._news.wait()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
