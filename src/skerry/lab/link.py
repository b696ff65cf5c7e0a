"""A link between two sites of the lab: a TCP proxy that can be cut, slowed and delayed while it runs."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from skerry.lab.shape import Lane, Shape

_IN_FLIGHT = 256
_BUFFER = 256 << 10
_ACCEPTING = 4
"""Turns of the loop within which asyncio hands over a connection that it has taken, and lets it go again."""


async def _sleep_until(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        await asyncio.sleep(left)


def _reset(end: asyncio.StreamWriter) -> None:
    """Drop a connection, if it is still there, so that its peer gets a reset and not a proper end."""
    if end.is_closing():
        return
    end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()


class Link:
    """Carries TCP connections to `target` (host, port).

    Cut, it swallows: connections are taken and hear nothing, open ones stall, and neither an end nor a reset
    travels. Restored, everything goes on where it stopped. The two directions have a lane each.
    """

    def __init__(
        self,
        target: tuple[str, int],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep_until: Callable[[float], Awaitable[None]] = _sleep_until,
    ) -> None:
        self._target = target
        self._monotonic = monotonic
        self._sleep_until = sleep_until
        self._up = asyncio.Event()
        self._up.set()
        self._out, self._back = Lane(), Lane()

    @property
    def is_cut(self) -> bool:
        """Whether the link swallows everything."""
        return not self._up.is_set()

    @property
    def shape(self) -> Shape:
        """How slow the link is."""
        return self._out.shape

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes that have entered the link so far: towards the target, and back from it."""
        return self._out.carried, self._back.carried

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._up.clear()

    def restore(self) -> None:
        """Let what was held, and all that follows, through."""
        self._up.set()

    def reshape(self, shape: Shape) -> None:
        """Change rate and delay for all that enters from now on."""
        self._out.shape = self._back.shape = shape

    @asynccontextmanager
    async def listening(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
        """Take connections; yields the port. Leaving drops every connection. Raises OSError."""
        carriers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        closing = False

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if closing:
                _reset(writer)
                return
            task = asyncio.create_task(self._carry(reader, writer))
            carriers[task] = writer
            task.add_done_callback(lambda task: carriers.pop(task, None))

        server = await asyncio.start_server(accept, host, port, limit=_BUFFER)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            closing = True
            server.close()
            open_still = dict(carriers)
            for task in open_still:
                task.cancel()
            await asyncio.gather(*open_still, return_exceptions=True)
            for writer in open_still.values():  # of those whose task had not begun
                _reset(writer)
            for _ in range(_ACCEPTING):
                await asyncio.sleep(0)

    async def _carry(self, near: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        """Carry one connection until both ends are done, or one is reset: then the other is, too."""
        ends = [near_writer]
        finished = False
        try:
            await self._up.wait()
            far, far_writer = await asyncio.open_connection(*self._target, limit=_BUFFER)
            ends.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(near, far_writer, self._out))
                both.create_task(self._pump(far, near_writer, self._back))
            finished = True
        except* OSError:
            pass
        finally:
            for end in ends:
                end.close() if finished else _reset(end)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, lane: Lane) -> None:
        """Carry one direction to its end. What is under way is bounded, so a slow reader slows its sender."""
        flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._deliver(flight, sink))
                data = b"-"
                while data:
                    await self._up.wait()
                    data = await source.read(lane.shape.quantum)
                    passage = lane.send(len(data), self._monotonic())
                    await flight.put((passage.arrives, data))
                    await self._sleep_until(passage.left)
        except* OSError:
            await self._up.wait()  # A reset is a packet, too.
            raise

    async def _deliver(self, flight: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        while True:
            arrives, data = await flight.get()
            await self._sleep_until(arrives)
            await self._up.wait()
            if not data:
                sink.write_eof()
                return
            sink.write(data)
            await sink.drain()
