"""Bytes of a file to a client: by sendfile(2), so that they never pass through this process, but over TLS.

uvloop has no `loop.sendfile`, so aiohttp's FileResponse would copy. Bytes go straight to a duplicate of the
transport's descriptor once the transport has sent the header and holds nothing back.
"""

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from skerry.api.turns import THREADS, WINDOW, take_turn
from skerry.core.errors import TooSlow
from skerry.transfer.delivery import Delivery
from skerry.transfer.unbroken import unbroken

_LOOK = 1.0
"""Seconds between looks whether a client that waits for bytes is still there."""


async def send(
    request: web.Request,
    response: web.StreamResponse,
    delivery: Delivery,
    offset: int,
    count: int,
    *,
    least: float,
    window: float,
) -> None:
    """Send `count` bytes from `offset` as the body of `response`, whose Content-Length is `count`.

    Waits for bytes that are still to come. Raises TooSlow when the client took fewer than `least` bytes a
    second while it was waited for `window` seconds, ConnectionResetError when it is gone, and what ended the
    delivery. The connection is closed then: an answer cut short must not be taken for a whole one, nor an
    error for image data.
    """
    writer = await response.prepare(request)
    transport = request.transport
    if writer is None or transport is None:
        raise ConnectionResetError("The client is gone.")
    if request.method == "HEAD":
        return
    patience = _Patience(least, window)
    try:
        if transport.get_extra_info("sslcontext") is None:
            await _flush(writer, transport, patience)
            await _Pipe(request, transport, delivery.fd, patience).send(delivery, offset, count)
            writer.output_size += count
        else:
            await _copy(request, writer, transport, delivery, offset, count, patience)
    except BaseException:
        transport.abort()
        raise


class _Patience:
    """How long a client may keep us waiting. Time spent waiting for anything else does not count."""

    def __init__(self, least: float, window: float) -> None:
        self._window = window
        self._quota = least * window
        self._left = window
        self._taken = 0

    async def wait(self, until: Awaitable[object], taken: Callable[[], int]) -> None:
        """Wait for the client, for a time; `taken` counts what it has taken so far. Raises TooSlow."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._left):
                await until
        self._left -= loop.time() - began
        if taken() - self._taken >= self._quota:
            self._left, self._taken = self._window, taken()
        elif self._left <= 0:
            raise TooSlow(f"The client took fewer than {self._quota:.0f} bytes in {self._window:.0f} s.")


class _Pipe:
    """From a file to a socket, past aiohttp."""

    def __init__(
        self, request: web.Request, transport: asyncio.BaseTransport, file: int, patience: _Patience
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._socket = os.dup(transport.get_extra_info("socket").fileno())
        self._file = file
        self._patience = patience
        self._sent = 0

    async def send(self, delivery: Delivery, offset: int, count: int) -> None:
        """Send the range, as far as it is there, then as it comes. To be called once."""
        try:
            end = offset + count
            while offset < end:
                ready = min(delivery.ready(offset), end)
                if ready <= offset:
                    await _arrived(self._request, delivery, offset)
                    continue
                offset += await self._send(offset, ready - offset)
        except TooSlow:
            _forget_unsent(self._socket)
            raise
        finally:
            os.close(self._socket)

    async def _send(self, offset: int, count: int) -> int:
        """Some bytes, at most `count`; 0 when the client had to be waited for."""
        if self._request.transport is None:
            raise ConnectionResetError("The client is gone.")
        try:
            if count <= WINDOW and _in_memory(self._file, offset + count - 1):
                sent = os.sendfile(self._socket, self._file, offset, count)
                await asyncio.sleep(0)
            else:  # neither much nor a disk may keep the loop waiting
                turn = self._loop.run_in_executor(THREADS, take_turn, self._socket, self._file, offset, count)
                sent = await unbroken(turn)
        except BlockingIOError:
            await self._patience.wait(self._writable(), self._taken)
            return 0
        if not sent:
            raise OSError(f"The file of the image ends at byte {offset}.")
        self._sent += sent
        return sent

    async def _writable(self) -> None:
        writable = asyncio.Event()
        self._loop.add_writer(self._socket, writable.set)
        try:
            await writable.wait()
        finally:
            self._loop.remove_writer(self._socket)

    def _taken(self) -> int:
        """Bytes that the client has acknowledged; the kernel's buffer may hold minutes of a slow client's."""
        queued = fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0" * 4)
        return self._sent - int.from_bytes(queued, "little")


async def _arrived(request: web.Request, delivery: Delivery, offset: int) -> None:
    """Wait until more than `offset` bytes may be sent, for as long as the client is there to take them."""
    while request.transport is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                return await delivery.wait(offset)
    raise ConnectionResetError("The client is gone.")


def _in_memory(file: int, offset: int) -> bool:
    """Whether a byte can be read without waiting for the disk, and so, nearly always, those before it."""
    try:
        return os.preadv(file, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except OSError:
        return False


def _forget_unsent(descriptor: int) -> None:
    """Have the kernel drop what the client has not taken when the connection closes."""
    duplicate = socket.socket(fileno=os.dup(descriptor))
    with duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _flush(
    writer: AbstractStreamWriter, transport: asyncio.WriteTransport, patience: _Patience
) -> None:
    """Wait until the transport holds nothing back, so that bytes sent past it come behind the header."""
    transport.set_write_buffer_limits(high=0)
    try:
        while transport.get_write_buffer_size():
            await patience.wait(writer.drain(), lambda: 0)
            await asyncio.sleep(0)
    finally:
        if not transport.is_closing():
            transport.set_write_buffer_limits()


async def _copy(
    request: web.Request,
    writer: AbstractStreamWriter,
    transport: asyncio.WriteTransport,
    delivery: Delivery,
    offset: int,
    count: int,
    patience: _Patience,
) -> None:
    """Over TLS the bytes have to be read."""
    start, end = offset, offset + count

    def taken() -> int:
        return offset - start - transport.get_write_buffer_size()

    while offset < end:
        ready = min(delivery.ready(offset), end)
        if ready <= offset:
            await _arrived(request, delivery, offset)
            continue
        data = await unbroken(asyncio.to_thread(os.pread, delivery.fd, min(WINDOW, ready - offset), offset))
        if not data:
            raise OSError(f"The file of the image ends at byte {offset}.")
        offset += len(data)
        await patience.wait(writer.write(data), taken)
        while transport.get_write_buffer_size() > WINDOW:
            await patience.wait(writer.drain(), taken)
