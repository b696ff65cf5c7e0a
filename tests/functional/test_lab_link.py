"""The lab's link, over real sockets."""

import asyncio
import hashlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from skerry.core.units import Rate
from skerry.lab.link import Link
from skerry.lab.shape import Shape

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class VirtualTime:
    """A clock that stands still until somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    async def sleep_until(self, moment: float) -> None:
        self.now = max(self.now, moment)
        await asyncio.sleep(0)


class FarEnd:
    """The server that a link leads to; hands each connection to the test."""

    def __init__(self, address: tuple[str, int], connections: asyncio.Queue[Streams]) -> None:
        self.address = address
        self.connections = connections

    async def accepted(self) -> Streams:
        async with asyncio.timeout(5):
            return await self.connections.get()


def drop(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        writer.transport.abort()


@asynccontextmanager
async def far_end() -> AsyncIterator[FarEnd]:
    connections: asyncio.Queue[Streams] = asyncio.Queue()
    taken: list[asyncio.StreamWriter] = []

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)
        connections.put_nowait((reader, writer))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield FarEnd(server.sockets[0].getsockname(), connections)
    finally:
        server.close()
        for writer in taken:
            drop(writer)


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        drop(writer)


async def hears_nothing(reader: asyncio.StreamReader) -> bool:
    """No byte, no end, no reset."""
    try:
        async with asyncio.timeout(0.1):
            await reader.read(1)
    except TimeoutError:
        return True
    return False


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer gets an RST."""
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_bytes_pass_both_ways() -> None:
    async with far_end() as far, Link(far.address).listening() as port, client(port) as (reader, writer):
        writer.write(b"there")
        far_reader, far_writer = await far.accepted()
        assert await far_reader.readexactly(5) == b"there"
        far_writer.write(b"back")
        assert await reader.readexactly(4) == b"back"


async def test_the_bytes_of_each_direction_are_counted() -> None:
    async with far_end() as far:
        link = Link(far.address)
        async with link.listening() as port, client(port) as (reader, writer):
            writer.write(b"there")
            far_reader, far_writer = await far.accepted()
            await far_reader.readexactly(5)
            far_writer.write(b"back")
            await reader.readexactly(4)
        assert link.carried == (5, 4)


async def test_a_side_that_has_said_all_can_still_listen() -> None:
    async with far_end() as far, Link(far.address).listening() as port, client(port) as (reader, writer):
        writer.write(b"question")
        writer.write_eof()
        far_reader, far_writer = await far.accepted()
        assert await far_reader.read() == b"question"
        far_writer.write(b"answer")
        far_writer.close()
        assert await reader.read() == b"answer"


async def test_a_large_transfer_to_a_slow_reader_arrives_whole() -> None:
    data = bytes(range(256)) * (16 << 12)
    async with far_end() as far, Link(far.address).listening() as port, client(port) as (reader, _):
        _, far_writer = await far.accepted()
        far_writer.write(data)
        far_writer.close()
        digest, size = hashlib.sha256(), 0
        while piece := await reader.read(50_000):
            digest.update(piece)
            size += len(piece)
            await asyncio.sleep(0)
        assert size == len(data)
        assert digest.digest() == hashlib.sha256(data).digest()


async def test_a_cut_link_takes_a_connection_and_answers_nothing_until_restored() -> None:
    async with far_end() as far:
        link = Link(far.address)
        async with link.listening() as port:
            link.cut()
            async with client(port) as (reader, writer):
                writer.write(b"anybody?")
                assert await hears_nothing(reader)
                assert far.connections.empty()
                link.restore()
                far_reader, far_writer = await far.accepted()
                assert await far_reader.readexactly(8) == b"anybody?"
                far_writer.write(b"yes")
                assert await reader.readexactly(3) == b"yes"


async def test_an_open_connection_stalls_while_the_link_is_cut_and_goes_on_after() -> None:
    async with far_end() as far:
        link = Link(far.address)
        async with link.listening() as port, client(port) as (reader, writer):
            writer.write(b"one")
            far_reader, far_writer = await far.accepted()
            assert await far_reader.readexactly(3) == b"one"
            link.cut()
            writer.write(b"two")
            far_writer.write(b"three")
            assert await hears_nothing(far_reader)
            assert await hears_nothing(reader)
            link.restore()
            assert await far_reader.readexactly(3) == b"two"
            assert await reader.readexactly(5) == b"three"


@pytest.mark.parametrize("end", [reset, asyncio.StreamWriter.close], ids=["reset", "closed"])
async def test_neither_an_end_nor_a_reset_passes_a_cut_link(
    end: Callable[[asyncio.StreamWriter], None],
) -> None:
    async with far_end() as far:
        link = Link(far.address)
        async with link.listening() as port, client(port) as (reader, writer):
            writer.write(b"hello")
            far_reader, far_writer = await far.accepted()
            await far_reader.readexactly(5)
            link.cut()
            end(far_writer)
            assert await hears_nothing(reader)
            link.restore()
            async with asyncio.timeout(5):
                if end is reset:
                    with pytest.raises(ConnectionResetError):
                        await reader.read()
                else:
                    assert await reader.read() == b""


async def test_a_site_that_does_not_listen_refuses_through_an_uncut_link() -> None:
    async with far_end() as far:
        pass
    async with Link(far.address).listening() as port, client(port) as (reader, _):
        async with asyncio.timeout(5):
            assert await ended(reader.read())


async def test_leaving_drops_what_is_open() -> None:
    async with far_end() as far:
        async with Link(far.address).listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await far.accepted()
        async with asyncio.timeout(5):
            assert await ended(reader.read())
        writer.close()


async def ended(read: Awaitable[bytes]) -> bool:
    try:
        return await read == b""
    except ConnectionResetError:
        return True


async def test_a_shaped_link_carries_its_rate_and_no_more() -> None:
    time = VirtualTime()
    async with far_end() as far:
        link = Link(far.address, monotonic=time.monotonic, sleep_until=time.sleep_until)
        link.reshape(Shape(Rate.parse("8Mbit")))
        async with link.listening() as port, client(port) as (_, writer):
            writer.write(b"x" * 1_000_000)
            far_reader, _ = await far.accepted()
            await far_reader.readexactly(1_000_000)
            assert time.now == pytest.approx(1.0, abs=0.03)


async def test_the_two_directions_do_not_share_the_rate() -> None:
    time = VirtualTime()
    async with far_end() as far:
        link = Link(far.address, monotonic=time.monotonic, sleep_until=time.sleep_until)
        link.reshape(Shape(Rate.parse("8Mbit")))
        async with link.listening() as port, client(port) as (reader, writer):
            writer.write(b"x" * 1_000_000)
            far_reader, far_writer = await far.accepted()
            far_writer.write(b"y" * 1_000_000)
            await asyncio.gather(far_reader.readexactly(1_000_000), reader.readexactly(1_000_000))
            assert time.now < 1.5


async def test_a_delayed_link_delays_each_way() -> None:
    time = VirtualTime()
    async with far_end() as far:
        link = Link(far.address, monotonic=time.monotonic, sleep_until=time.sleep_until)
        link.reshape(Shape(delay=0.05))
        async with link.listening() as port, client(port) as (reader, writer):
            writer.write(b"ping")
            far_reader, far_writer = await far.accepted()
            await far_reader.readexactly(4)
            assert time.now == pytest.approx(0.05)
            far_writer.write(b"pong")
            await reader.readexactly(4)
            assert time.now == pytest.approx(0.10)
