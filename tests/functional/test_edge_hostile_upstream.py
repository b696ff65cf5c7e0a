"""An upstream that lies, drags its feet or talks nonsense harms nobody but itself."""

import asyncio
import gzip
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from skerry.upstream import client
from tests.functional.sites import Api, eventually, noise, running, settings
from tests.simulators.upstream import Answer, Upstream

SIZE = 1 << 20
OTHER = "ffffffff-0000-4000-8000-000000000000"


@asynccontextmanager
async def edge_of(upstream: Upstream, folder: Path, **section: Any) -> AsyncIterator[Api]:
    async with upstream.listening() as url:
        section = {"url": url, "ttl": 60, "timeout": "500ms", "stall": 1, **section}
        async with running(settings(folder / "edge", upstream=section)) as edge:
            yield edge


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def edge(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Api]:
    async with edge_of(upstream, tmp_path) as edge:
        yield edge


def answering(body: bytes, *, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        lines = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return web.Response(body=body, status=status, headers=lines)

    return answer


async def nothing_kept(edge: Api) -> None:
    """Nothing of any image is at the edge, once its fetches have ended."""
    assert edge.site.edge is not None
    cache = edge.site.edge.cache
    await eventually(lambda: not cache.fetches())
    assert edge.site.copies.all() == []
    assert [*edge.site.store.ids(), *edge.site.store.partials()] == []


NONSENSE = {
    "a page of HTML": b"<html><body>Please log in</body></html>",
    "nothing": b"",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "deep nesting": b"[" * 100_000,
    "half a document": b'{"id": "00000000',
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "more than 16 MiB": b'{"id": "' + b"x" * (17 << 20) + b'"}',
}


@pytest.mark.parametrize("what", NONSENSE)
async def test_an_answer_that_is_no_record_is_502_and_the_line_is_not_cut(
    edge: Api, upstream: Upstream, what: str
) -> None:
    image = upstream.add(noise(SIZE))
    upstream.instead["show"] = answering(NONSENSE[what])
    assert (await edge.call("GET", f"/v2/images/{image}"))[0] == 502
    assert (await edge.call("GET", f"/v2/images/{image}/file"))[0] == 502
    assert edge.site.edge is not None
    assert edge.site.edge.link.connected
    del upstream.instead["show"]
    assert (await edge.show(image))["id"] == image


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", OTHER),
        ("id", "../../etc/passwd"),
        ("id", 7),
        ("size", -1),
        ("size", 10**30),
        ("size", "many"),
        ("size", 1.5),
        ("min_disk", -5),
        ("status", "half"),
        ("status", None),
        ("visibility", "everybody"),
        ("created_at", "yesterday"),
        ("created_at", "99999-01-01T00:00:00Z"),
        ("updated_at", "0001-01-01T00:00:00+14:00"),
        ("updated_at", 7),
        ("tags", {"a": 1}),
        ("tags", [None]),
        ("hw_property", ["nested"]),
        ("name", {}),
    ],
)
async def test_an_absurd_record_is_502_and_hides_no_other(
    edge: Api, upstream: Upstream, name: str, value: Any
) -> None:
    good, bad = upstream.add(noise(10), name="good"), upstream.add(noise(10))
    upstream.images[bad][name] = value
    assert (await edge.call("GET", f"/v2/images/{bad}"))[0] == 502
    _, headers, listing = await edge.call("GET", "/v2/images")
    assert good in [image["id"] for image in listing["images"]]
    assert "Skerry-Stale" not in headers


async def test_a_record_that_becomes_absurd_is_shown_as_it_was_and_the_list_goes_on(
    upstream: Upstream, tmp_path: Path
) -> None:
    image = upstream.add(noise(10), name="good")
    async with edge_of(upstream, tmp_path, ttl=0) as edge:
        assert len((await edge.call("GET", "/v2/images"))[2]["images"]) == 1
        upstream.images[image]["status"] = "half"
        new = upstream.add(noise(10), name="new")
        status, headers, shown = await edge.call("GET", f"/v2/images/{image}")
        assert (status, shown["status"], "Skerry-Stale" in headers) == (200, "active", True)
        _, headers, listing = await edge.call("GET", "/v2/images")
        assert {one["id"] for one in listing["images"]} == {image, new}


def pages(*documents: Any) -> Answer:
    """A list in pages: `?marker=1` leads to the second, and so on; the last answers what comes after."""

    async def answer(request: web.Request) -> web.StreamResponse:
        number = min(int(request.query.get("marker", 0)), len(documents) - 1)
        return web.json_response(documents[number])

    return answer


@pytest.mark.parametrize(
    "following",
    ["/v2/images?marker=0", "http://elsewhere/v2/images?marker=1", 7, ["x"], "/v2/images?" + "x" * 9000],
)
async def test_a_list_that_leads_astray_is_not_followed(
    edge: Api, upstream: Upstream, following: Any
) -> None:
    upstream.add(noise(10))
    page = {"images": list(upstream.images.values()), "next": following}
    upstream.instead["list"] = pages(page, page)
    async with asyncio.timeout(10):
        status, headers, listing = await edge.call("GET", "/v2/images")
    assert (status, len(listing["images"]), "Skerry-Stale" in headers) == (200, 1, True)


async def test_a_list_without_an_end_is_given_up(
    edge: Api, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.json_response({"images": [], "next": f"/v2/images?marker={asked}"})

    upstream.instead["list"] = endless
    monkeypatch.setattr(client, "_PAGES", 20)
    status, headers, _ = await edge.call("GET", "/v2/images")
    assert (status, "Skerry-Stale" in headers, asked) == (200, True, 20)


async def test_a_page_longer_than_asked_for_is_refused(edge: Api, upstream: Upstream) -> None:
    for _ in range(201):
        upstream.add(b"x")
    _, headers, listing = await edge.call("GET", "/v2/images?limit=1000")
    assert (listing["images"], "Skerry-Stale" in headers) == ([], True)


async def test_an_image_listed_twice_is_listed_once(edge: Api, upstream: Upstream) -> None:
    image = upstream.add(noise(10))
    upstream.instead["list"] = pages({"images": [upstream.images[image]] * 3})
    _, _, listing = await edge.call("GET", "/v2/images")
    assert [one["id"] for one in listing["images"]] == [image]


@pytest.mark.parametrize("members", ["of another image", "twice", "no list"])
async def test_members_that_make_no_sense_harm_nobody(edge: Api, upstream: Upstream, members: str) -> None:
    image = upstream.add(noise(10), visibility="shared")
    now = "2026-01-01T00:00:00Z"
    one = {"image_id": image, "member_id": "bob", "status": "pending", "created_at": now, "updated_at": now}
    found: dict[str, Any] = {
        "of another image": [one | {"image_id": OTHER}],
        "twice": [one, one | {"status": "accepted"}],
        "no list": 7,
    }
    upstream.instead["members"] = answering(json.dumps({"members": found[members]}).encode())
    status, _, answer = await edge.call("GET", f"/v2/images/{image}/members")
    if members == "twice":
        assert [member["status"] for member in answer["members"]] == ["accepted"]
    else:
        assert status == 502
    assert (await edge.show(image))["id"] == image


async def _html(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Please log in</html>" * 100, content_type="text/html")


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:1/")


async def _gzip(request: web.Request) -> web.StreamResponse:
    return web.Response(body=gzip.compress(bytes(SIZE)), headers={"Content-Encoding": "gzip"})


async def _longer(request: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(SIZE + 1))


async def _without_length_and_longer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    while request.transport is not None:
        await response.write(bytes(1 << 16))
    return response


async def _another_range(request: web.Request) -> web.StreamResponse:
    headers = {"Content-Range": f"bytes 5-{SIZE - 1}/{SIZE}"}
    return web.Response(body=bytes(SIZE - 5), status=206, headers=headers)


async def _empty(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=206, headers={"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE}"})
    await response.prepare(request)
    return response


async def _no_data(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _forbidden(request: web.Request) -> web.StreamResponse:
    return web.Response(status=403)


@pytest.mark.parametrize(
    "lie",
    [
        _html,
        _redirect,
        _gzip,
        _longer,
        _without_length_and_longer,
        _another_range,
        _empty,
        _no_data,
        _forbidden,
    ],
)
async def test_bytes_that_cannot_be_had_are_a_clear_error_and_leave_nothing(
    upstream: Upstream, tmp_path: Path, lie: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.transfer.persist._FRUITLESS", 2)
    image = upstream.add(bytes(SIZE))
    upstream.instead["file"] = lie
    async with edge_of(upstream, tmp_path) as edge, asyncio.timeout(20):
        if lie is _without_length_and_longer:  # what comes first may be right
            with pytest.raises(aiohttp.ClientPayloadError):
                await edge.download(image)
        else:
            assert (await edge.call("GET", f"/v2/images/{image}/file"))[0] == 502
        await nothing_kept(edge)
        del upstream.instead["file"]
        assert await edge.download(image) == bytes(SIZE)


async def test_an_image_that_upstream_deletes_during_its_fetch_is_404_and_gone(
    edge: Api, upstream: Upstream
) -> None:
    image = upstream.add(noise(SIZE))
    upstream.break_after = 1000
    upstream.held.clear()

    async def gone(request: web.Request) -> web.StreamResponse:
        del upstream.instead["file"]
        upstream.instead["file"] = answering(b"", status=404)
        return await upstream._file(request)

    upstream.instead["file"] = gone
    status, _, _ = await edge.call("GET", f"/v2/images/{image}/file", headers={"Range": f"bytes={SIZE - 9}-"})
    assert status == 404
    await nothing_kept(edge)


async def test_an_upstream_that_sends_hardly_anything_is_left_and_asked_again(
    edge: Api, upstream: Upstream
) -> None:
    data = noise(SIZE)
    image = upstream.add(data)

    async def trickle(request: web.Request) -> web.StreamResponse:
        del upstream.instead["file"]
        response = web.StreamResponse()
        response.content_length = SIZE
        await response.prepare(request)
        for byte in data:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.02)
        return response

    upstream.instead["file"] = trickle
    async with asyncio.timeout(30):
        assert await edge.download(image) == data
    assert upstream.downloads()[0].startswith("bytes=")  # what had come was not asked for again


async def test_a_slow_client_never_gets_bytes_of_two_attempts_mixed(
    upstream: Upstream, tmp_path: Path
) -> None:
    """Its bytes turn out wrong while it is behind; the right ones, which pass it, must not follow them."""
    size = 24 << 20
    data = noise(size)
    image = upstream.add(data)
    wrong = noise(1000) + data[1000:]
    fetched = 0

    async def first_wrong(request: web.Request) -> web.StreamResponse:
        nonlocal fetched
        fetched += 1
        return web.Response(body=wrong if fetched == 1 else data)

    upstream.instead["file"] = first_wrong
    async with edge_of(upstream, tmp_path) as edge:
        async with edge.session.get(f"{edge.url}/v2/images/{image}/file") as response:
            assert edge.site.edge is not None
            await eventually(edge.site.edge.cache.cached)
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        assert fetched == 2
        assert await edge.download(image) == data


@asynccontextmanager
async def dripping(first: bytes) -> AsyncIterator[str]:
    """A server that answers the healthcheck, and anything else with `first` and then a byte now and then."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"/healthcheck" in head:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
                    continue
                writer.write(first)
                while True:
                    writer.write(b"x")
                    await asyncio.sleep(0.05)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "first", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"]
)
async def test_an_upstream_that_drips_is_not_waited_for_longer_than_the_timeout(
    tmp_path: Path, first: bytes
) -> None:
    async with dripping(first) as url:
        section = {"url": url, "timeout": "300ms", "stall": 1}
        async with running(settings(tmp_path, upstream=section)) as edge, asyncio.timeout(2):
            assert (await edge.call("GET", f"/v2/images/{OTHER}"))[0] == 503


async def test_a_header_of_bytes_that_never_ends_is_given_up(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.transfer.persist._FRUITLESS", 1)
    image = upstream.add(noise(SIZE))

    async def drip_header(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        while not request.transport.is_closing():
            request.transport.write(b"HTTP/1.1 200 OK\r\n" if not request.get("begun") else b"X: y\r\n")
            request["begun"] = True
            await asyncio.sleep(0.05)
        raise ConnectionResetError

    upstream.instead["file"] = drip_header
    async with edge_of(upstream, tmp_path, stall="500ms") as edge, asyncio.timeout(5):
        assert (await edge.call("GET", f"/v2/images/{image}/file"))[0] == 502
        await nothing_kept(edge)


async def test_an_upstream_that_does_not_speak_http_is_502_and_found_again(
    upstream: Upstream, tmp_path: Path
) -> None:
    async def babble(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n")
        request.transport.close()
        raise ConnectionResetError

    image = upstream.add(noise(10))
    async with edge_of(upstream, tmp_path) as edge:
        upstream.instead["show"] = babble
        assert (await edge.call("GET", f"/v2/images/{image}"))[0] == 502
        del upstream.instead["show"]
        assert (await edge.show(image))["id"] == image


async def test_an_upstream_behind_something_that_compresses_is_asked_not_to(
    edge: Api, upstream: Upstream
) -> None:
    accepted = []

    async def listen(request: web.Request) -> web.StreamResponse:
        accepted.append(request.headers.get("Accept-Encoding"))
        return web.json_response(upstream.images[request.match_info["id"]])

    upstream.instead["show"] = listen
    await edge.show(upstream.add(noise(10)))
    assert accepted == ["identity"]


class SlowIdentity:
    """A credential that does not come."""

    async def headers(self) -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    async def refresh(self, refused: object) -> dict[str, str]:
        return await self.headers()

    async def close(self) -> None: ...


async def test_a_slow_identity_service_does_not_count_as_a_cut_line(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.kinds.upstream_credential", lambda *_: SlowIdentity())
    async with edge_of(upstream, tmp_path) as edge:
        status, _, body = await edge.call("GET", f"/v2/images/{OTHER}")
        assert (status, b"identity service" in body) == (502, True)
        assert edge.site.edge is not None
        assert edge.site.edge.link.connected


def certificate(folder: Path) -> tuple[Path, Path]:
    """(certificate, key) for 127.0.0.1, which nobody trusts but who is told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


async def test_an_upstream_over_tls_is_believed_when_its_certificate_is_and_only_then(
    upstream: Upstream, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    data = noise(SIZE)
    image = upstream.add(data)
    async with upstream.listening(context) as url:
        trusting = {"url": url, "cafile": cert}
        async with running(settings(tmp_path / "trusting", upstream=trusting)) as edge:
            assert await edge.download(image) == data
        async with running(settings(tmp_path / "wary", upstream={"url": url})) as edge:
            status, _, body = await edge.call("GET", f"/v2/images/{image}")
            assert (status, b"certificate" in body.lower()) == (503, True)
