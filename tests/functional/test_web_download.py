"""Downloads from the web, against real servers on loopback that mean well, and some that do not."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from yarl import URL

from skerry.core.destinations import Destinations
from skerry.core.errors import BrokenOff, InvalidInput
from skerry.transfer.web import REDIRECTS, Resolve, Web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """A web server on loopback that remembers what it was asked."""

    def __init__(self, handler: Handler, host: str, tls: ssl.SSLContext | None) -> None:
        self._handler = handler
        self._host = host
        self._tls = tls
        self.asked: list[str] = []
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Server"]:
        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            self.asked.append(f"{request.host}{request.path_qs}")
            return await self._handler(request)

        runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.01)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, 0, ssl_context=self._tls).start()
            self.port = runner.addresses[0][1]
            yield self
        finally:
            await runner.cleanup()


@asynccontextmanager
async def serving(
    handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    async with Server(handler, host, tls).listening() as server:
        yield server


async def image(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"the image")


def to(location: str) -> Handler:
    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return redirect


def names(**known: Sequence[str] | list[Sequence[str]]) -> Resolve:
    """A name server. A list of answers is given one after the other."""
    answers = {name.replace("_", "."): found for name, found in known.items()}

    async def resolve(host: str, port: int) -> Sequence[str]:
        found = answers[host]
        return found.pop(0) if isinstance(found, list) else found

    return resolve


def web_for(*servers: Server, allowed: Sequence[str] = ("127.0.0.1/32",), **more: Any) -> Web:
    """Downloads from the ports of `servers`, and from 127.0.0.1 alone."""
    ports = [server.port for server in servers]
    lists = Destinations(schemes=("http", "https"), ports=ports, allowed_networks=allowed)
    return Web(lists, **more)


async def fetched(source: Web, url: str) -> bytes:
    return b"".join([chunk async for chunk in source.chunks(url)])


async def test_an_image_is_fetched_from_an_allowed_address() -> None:
    async with serving(image) as server:
        assert await fetched(web_for(server), f"http://127.0.0.1:{server.port}/a?b") == b"the image"
        assert server.asked == [f"127.0.0.1:{server.port}/a?b"]


async def test_a_name_is_connected_to_at_the_address_that_was_checked_and_keeps_its_name() -> None:
    async with serving(image) as server:
        source = web_for(server, resolve=names(images_example=("127.0.0.1",)))
        assert await fetched(source, f"http://images.example:{server.port}/a") == b"the image"
        assert server.asked == [f"images.example:{server.port}/a"]


async def test_a_name_that_stands_for_a_denied_address_is_not_connected_to() -> None:
    async with serving(image, host="127.0.0.2") as server:
        source = web_for(server, resolve=names(evil_example=("127.0.0.2",)))
        with pytest.raises(InvalidInput, match=r"no address of evil\.example is allowed"):
            await fetched(source, f"http://evil.example:{server.port}/a")
        assert server.asked == []


@pytest.mark.parametrize("carrier", ["::ffff:127.0.0.2", "::127.0.0.2", "2002:7f00:2::", "64:ff9b::7f00:2"])
async def test_a_denied_address_is_seen_inside_an_ipv6_one(carrier: str) -> None:
    async with serving(image, host="127.0.0.2") as server:
        source = web_for(server, resolve=names(evil_example=(carrier,)))
        with pytest.raises(InvalidInput, match=r"no address of evil\.example is allowed"):
            await fetched(source, f"http://evil.example:{server.port}/")
        with pytest.raises(InvalidInput, match="its address is not allowed"):
            await fetched(source, f"http://[{carrier}]:{server.port}/")
        assert server.asked == []


async def test_of_several_addresses_only_the_allowed_ones_are_tried() -> None:
    async with serving(image) as good, serving(image, host="127.0.0.2") as bad:
        source = web_for(good, bad, resolve=names(both_example=("127.0.0.2", "127.0.0.1")))
        assert await fetched(source, f"http://both.example:{good.port}/") == b"the image"
        with pytest.raises(InvalidInput, match="cannot be downloaded"):
            await fetched(source, f"http://both.example:{bad.port}/")
        assert bad.asked == []


@pytest.mark.parametrize("spelling", ["2130706434", "0x7f.2", "0177.0.0.2", "127.2", "①②⑦.0.0.2"])
async def test_other_spellings_of_a_denied_address_are_denied(spelling: str) -> None:
    async with serving(image, host="127.0.0.2") as server:
        with pytest.raises(InvalidInput):
            await fetched(web_for(server), f"http://{spelling}:{server.port}/")
        assert server.asked == []


async def test_a_redirect_to_a_denied_address_is_not_followed() -> None:
    async with serving(image, host="127.0.0.2") as bad:
        async with serving(to(f"http://127.0.0.2:{bad.port}/meta-data")) as good:
            with pytest.raises(InvalidInput, match="its address is not allowed"):
                await fetched(web_for(good, bad), f"http://127.0.0.1:{good.port}/")
        assert bad.asked == []


async def test_a_redirect_to_a_name_that_has_moved_to_a_denied_address_is_not_followed() -> None:
    async with serving(image, host="127.0.0.2") as bad:
        async with serving(to(f"http://images.example:{bad.port}/")) as good:
            moving: list[Sequence[str]] = [("127.0.0.1",), ("127.0.0.2",)]
            source = web_for(good, bad, resolve=names(images_example=moving))
            with pytest.raises(InvalidInput, match=r"no address of images\.example is allowed"):
                await fetched(source, f"http://images.example:{good.port}/")
        assert bad.asked == []


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://127.0.0.1:1/", "http://a:b@127.0.0.1/", "//[bad"],
)
async def test_a_redirect_to_what_is_no_allowed_address_is_not_followed(location: str) -> None:
    async with serving(to(location)) as server:
        with pytest.raises(InvalidInput):
            await fetched(web_for(server), f"http://127.0.0.1:{server.port}/")
        assert len(server.asked) == 1


async def test_a_redirect_within_the_allowed_is_followed() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await (image if request.path == "/here" else to("/here"))(request)

    async with serving(answer) as server:
        assert await fetched(web_for(server), f"http://127.0.0.1:{server.port}/there") == b"the image"


async def test_redirects_in_a_circle_come_to_an_end() -> None:
    async with serving(to("/again")) as server:
        with pytest.raises(InvalidInput, match="redirects more than"):
            await fetched(web_for(server), f"http://127.0.0.1:{server.port}/")
        assert len(server.asked) == REDIRECTS + 1


async def test_an_answer_that_is_no_image_is_an_error() -> None:
    async def missing(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404, text="no such image")

    async with serving(missing) as server:
        with pytest.raises(InvalidInput, match="404 Not Found"):
            await fetched(web_for(server), f"http://127.0.0.1:{server.port}/")


async def test_a_body_that_would_have_to_be_unpacked_is_refused() -> None:
    async def bomb(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    async with serving(bomb) as server:
        with pytest.raises(InvalidInput, match="encoded"):
            await fetched(web_for(server), f"http://127.0.0.1:{server.port}/")


async def test_a_download_that_ends_early_is_broken_off() -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"only this")
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(cut) as server:
        with pytest.raises(BrokenOff):
            await fetched(web_for(server), f"http://127.0.0.1:{server.port}/")


async def test_a_server_that_nobody_runs_is_an_error() -> None:
    async with serving(image) as server:
        source, url = web_for(server), f"http://127.0.0.1:{server.port}/"
    with pytest.raises(InvalidInput, match="cannot be downloaded"):
        await fetched(source, url)


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for `name`, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + signed.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=signed.public_bytes(Encoding.PEM).decode())


async def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    server_tls, client_tls = certificate("images.example", tmp_path)
    async with serving(image, tls=server_tls) as server:
        known = names(images_example=("127.0.0.1",), other_example=("127.0.0.1",))
        source = web_for(server, resolve=known, tls=client_tls)
        assert await fetched(source, f"https://images.example:{server.port}/") == b"the image"
        with pytest.raises(InvalidInput, match="certificate"):
            await fetched(source, f"https://other.example:{server.port}/")
        assert len(server.asked) == 1


async def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    server_tls, _ = certificate("images.example", tmp_path)
    async with serving(image, tls=server_tls) as server:
        source = web_for(server, resolve=names(images_example=("127.0.0.1",)))
        with pytest.raises(InvalidInput, match="certificate"):
            await fetched(source, f"https://images.example:{server.port}/")
        assert server.asked == []


async def test_giving_up_a_download_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65536))
        except ConnectionError:
            gone.set()
        return response

    async with serving(endless) as server:
        chunks = web_for(server).chunks(f"http://127.0.0.1:{server.port}/")
        assert await anext(chunks)
        await chunks.aclose()
        async with asyncio.timeout(10):
            await gone.wait()


async def test_an_address_that_went_past_all_checks_meets_one_more_where_the_socket_is_made() -> None:
    class Blind(Destinations):
        def checked(self, text: str) -> URL:
            return URL(text)

    async with serving(image, host="127.0.0.2") as server:
        lists = Blind(schemes=("http",), ports=(server.port,), allowed_networks=("127.0.0.1/32",))
        with pytest.raises(InvalidInput, match="is not allowed"):
            await fetched(Web(lists), f"http://127.0.0.2:{server.port}/")
        assert server.asked == []


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "..", "%00", "xn--"])
async def test_a_name_that_nobody_has_is_an_error(host: str) -> None:
    lists = Destinations(schemes=("http",), ports=(80,))
    with pytest.raises(InvalidInput):
        await fetched(Web(lists), f"http://{host}/")
