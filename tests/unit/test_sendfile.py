import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from skerry.api import turns
from skerry.api.sendfile import send
from skerry.api.turns import WINDOW, take_turn
from skerry.core.errors import TooSlow, WrongBytes
from skerry.transfer.delivery import Delivery

DATA = os.urandom(5 * WINDOW + 777)

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test to its end on the loop that the product uses, and on the one that asyncio brings."""

    def to_its_end(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(test, 30))

    return to_its_end


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "image"
    file.write_bytes(DATA)
    return file


class Ending:
    """How sending ended, and to which connections."""

    def __init__(self) -> None:
        self.clients: set[object] = set()
        self.error: BaseException | None = None
        self.known = asyncio.Event()


@asynccontextmanager
async def serving(
    delivery: Delivery,
    *,
    offset: int = 0,
    count: int = len(DATA),
    least: float = 1024,
    window: float = 30,
    padding: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[int, Ending]]:
    ending = Ending()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ending.clients.add(request.transport.get_extra_info("peername"))
        response = web.StreamResponse()
        response.content_length = count
        response.headers["X-Padding"] = "x" * padding
        try:
            await send(request, response, delivery, offset, count, least=least, window=window)
        except BaseException as error:
            ending.error = error
            return web.Response(status=500, text="as an application does that knows no better")
        finally:
            ending.known.set()
        return response

    async def small(request: web.Request) -> web.Response:
        assert request.transport is not None
        ending.clients.add(request.transport.get_extra_info("peername"))
        return web.Response(text="small")

    app = web.Application()
    app.router.add_get("/image", handler)
    app.router.add_get("/small", small)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1], ending
    finally:
        await runner.cleanup()
        delivery.close()


async def fetched(port: int, *, scheme: str = "http", method: str = "GET") -> bytes:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{scheme}://127.0.0.1:{port}/image", ssl=False) as response,
    ):
        return await response.read()


def test_a_whole_file_arrives_as_it_is(run: Run, path: Path) -> None:
    async def test() -> None:
        async with serving(Delivery.whole(path)) as (port, ending):
            assert await fetched(port) == DATA
            assert ending.error is None

    run(test())


@pytest.mark.parametrize(("offset", "count"), [(0, 1), (5, 10), (WINDOW - 1, 2 * WINDOW), (len(DATA) - 3, 3)])
def test_a_range_is_sent_and_nothing_around_it(run: Run, path: Path, offset: int, count: int) -> None:
    async def test() -> None:
        async with serving(Delivery.whole(path), offset=offset, count=count) as (port, _):
            assert await fetched(port) == DATA[offset : offset + count]

    run(test())


def test_a_connection_serves_further_requests_after_a_file(run: Run, path: Path) -> None:
    async def test() -> None:
        async with (
            serving(Delivery.whole(path)) as (port, ending),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
        ):
            for name in ("image", "small", "image", "image", "small"):
                async with session.get(f"http://127.0.0.1:{port}/{name}") as response:
                    assert await response.read() == (DATA if name == "image" else b"small")
            assert len(ending.clients) == 1

    run(test())


def test_head_sends_no_body(run: Run, path: Path) -> None:
    async def test() -> None:
        async with serving(Delivery.whole(path)) as (port, ending):
            assert await fetched(port, method="HEAD") == b""
            assert ending.error is None

    run(test())


class Growing:
    """A file that comes piece by piece."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb", buffering=0)
        self.written = 0
        self.failure: BaseException | None = None
        self.changed = asyncio.Condition()
        self.delivery = Delivery(os.open(path, os.O_RDONLY), len(DATA), lambda _: self.written, self._wait)

    async def _wait(self, sent: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.failure is not None or self.written > sent)
        if self.failure is not None and self.written <= sent:
            raise self.failure

    async def grow(self, to: int) -> None:
        async with self.changed:
            self.file.write(DATA[self.written : to])
            self.written = to
            self.changed.notify_all()

    async def fail(self, error: BaseException) -> None:
        async with self.changed:
            self.failure = error
            self.changed.notify_all()


def test_a_growing_file_is_handed_on_as_it_comes(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        growing = Growing(tmp_path / "partial")
        async with (
            serving(growing.delivery) as (port, _),
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/image") as response,
        ):
            got = b""
            for end in (1, 1000, WINDOW, 3 * WINDOW + 5, len(DATA)):
                await growing.grow(end)
                got += await response.content.readexactly(end - len(got))
                assert got == DATA[:end]
        growing.file.close()

    run(test())


def test_a_delivery_that_fails_is_never_a_complete_answer(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        growing = Growing(tmp_path / "partial")
        async with serving(growing.delivery) as (port, ending), aiohttp.ClientSession() as session:
            await growing.grow(len(DATA) - 100)
            async with session.get(f"http://127.0.0.1:{port}/image") as response:
                await response.content.readexactly(len(DATA) - 100)
                await growing.fail(WrongBytes("wrong"))
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.content.read()
            await ending.known.wait()
            assert isinstance(ending.error, WrongBytes)
        growing.file.close()

    run(test())


def test_the_body_comes_behind_a_header_that_is_slow_to_leave(run: Run, path: Path) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        async with serving(Delivery.whole(path), padding=8 << 20) as (port, _):
            with await ask(port) as client:
                got = bytearray()
                while not got.endswith(DATA[-100:]):
                    got += await loop.sock_recv(client, 1 << 20)
            header, _, body = bytes(got).partition(b"\r\n\r\n")
            assert b"x" * (8 << 20) in header
            assert body == DATA

    run(test())


def test_no_error_page_follows_an_answer_that_was_cut_short(run: Run, path: Path) -> None:
    async def test() -> None:
        async with serving(Delivery.whole(path)) as (port, _):
            os.truncate(path, WINDOW)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /image HTTP/1.1\r\nHost: x\r\n\r\n")
            body = (await reader.read(-1)).partition(b"\r\n\r\n")[2]
            assert body == DATA[:WINDOW]
            writer.close()
            await writer.wait_closed()

    run(test())


def test_a_file_shorter_than_promised_is_never_a_complete_answer(run: Run, path: Path) -> None:
    async def test() -> None:
        async with serving(Delivery.whole(path)) as (port, ending):
            os.truncate(path, WINDOW)
            with pytest.raises(aiohttp.ClientPayloadError):
                await fetched(port)
            await ending.known.wait()
            assert isinstance(ending.error, OSError)

    run(test())


async def ask(port: int) -> socket.socket:
    """A client that sends its request and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, b"GET /image HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


async def drained(client: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(client, 1 << 20):
        pass


def large(tmp_path: Path) -> Delivery:
    """More than the kernel's buffers take; a hole."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 64 << 20)
    return Delivery.whole(path)


def test_a_client_that_does_not_read_is_dropped_after_the_window(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(large(tmp_path), count=64 << 20, least=1 << 20, window=0.2) as (port, ending):
            with await ask(port) as client:
                await ending.known.wait()
                assert isinstance(ending.error, TooSlow)
                with pytest.raises(ConnectionResetError):
                    await drained(client)

    run(test())


def test_clients_that_do_not_read_keep_no_other_waiting(run: Run, tmp_path: Path) -> None:
    """More of them than there are threads."""
    size = 64 << 20

    async def test() -> None:
        async with serving(large(tmp_path), count=size) as (port, ending):
            idle = [await ask(port) for _ in range(10)]
            assert await fetched(port) == bytes(size)
            assert ending.error is None
            for client in idle:
                client.close()

    run(test())


def test_a_client_that_takes_everything_gives_way_when_its_turn_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def all_of_it(sock: int, file: int, offset: int, count: int) -> int:
        return count

    monkeypatch.setattr(os, "sendfile", all_of_it)
    assert take_turn(-1, -1, 0, 3 * WINDOW) == 3 * WINDOW
    monkeypatch.setattr(turns, "_TURN", 0)
    assert take_turn(-1, -1, 0, 3 * WINDOW) == WINDOW


def test_waiting_for_bytes_to_come_is_not_the_clients_fault(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        growing = Growing(tmp_path / "partial")
        window = 0.05
        async with serving(growing.delivery, least=1 << 30, window=window) as (port, ending):
            client = asyncio.create_task(fetched(port))
            loop = asyncio.get_running_loop()
            late = asyncio.Event()
            loop.call_later(4 * window, late.set)
            await late.wait()
            await growing.grow(len(DATA))
            assert await client == DATA
            assert ending.error is None
        growing.file.close()

    run(test())


def sockets() -> set[str]:
    """The sockets that this process holds."""
    links = list(Path("/proc/self/fd").iterdir())
    targets = {str(link.readlink()) for link in links if link.is_symlink()}
    return {target for target in targets if target.startswith("socket:")}


def test_a_client_that_goes_away_ends_the_sending(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        before = sockets()
        async with serving(large(tmp_path), count=64 << 20) as (port, ending):
            client = await ask(port)
            await asyncio.get_running_loop().sock_recv(client, 1000)
            client.close()
            await ending.known.wait()
            assert isinstance(ending.error, ConnectionError)
        assert sockets() <= before

    run(test())


def test_over_tls_the_bytes_are_the_same(run: Run, path: Path, tls: ssl.SSLContext) -> None:
    async def test() -> None:
        async with serving(Delivery.whole(path), offset=10, count=len(DATA) - 10, tls=tls) as (port, ending):
            assert await fetched(port, scheme="https") == DATA[10:]
            assert ending.error is None

    run(test())


def test_what_is_not_in_memory_is_sent_all_the_same(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "preadv", never)

    async def test() -> None:
        async with serving(Delivery.whole(path)) as (port, _):
            assert await fetched(port) == DATA

    run(test())


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context
