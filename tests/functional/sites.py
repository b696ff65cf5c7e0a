"""Real sites on loopback for tests: a centre, an edge, and between them a line that can be cut."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import web

from skerry.api.context import Site
from skerry.config import Config, load
from skerry.core.clock import Clock, SystemClock
from skerry.lab.link import Link
from skerry.service import listening, open_site
from skerry.sync.belonging import Belonging


class Api:
    """Image API v2 as a test speaks it. `seen` counts what the site was asked, when `counted`."""

    def __init__(self, url: str, session: aiohttp.ClientSession, site: Site) -> None:
        self.url = url
        self.session = session
        self.site = site

    async def call(self, method: str, path: str, **kind: Any) -> tuple[int, Any, Any]:
        """(status, headers, body): JSON decoded, anything else as bytes."""
        if isinstance(kind.get("data"), bytes):
            kind["data"] = BytesIO(kind["data"])
        async with self.session.request(method, self.url + path, **kind) as response:
            body = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, response.headers, msgspec.json.decode(body) if is_json and body else body

    async def create(self, data: bytes | None = None, **attributes: Any) -> dict[str, Any]:
        """An image, with its bytes if given."""
        record = {"name": "one", "disk_format": "raw", "container_format": "bare", **attributes}
        status, _, image = await self.call("POST", "/v2/images", json=record)
        assert status == 201, image
        if data is not None:
            await self.upload(image["id"], data)
        return await self.show(image["id"])

    async def upload(self, image_id: str, data: bytes) -> None:
        """The bytes of an image."""
        headers = {"Content-Type": "application/octet-stream"}
        status, _, body = await self.call("PUT", f"/v2/images/{image_id}/file", data=data, headers=headers)
        assert status == 204, body

    async def show(self, image_id: str) -> dict[str, Any]:
        """The record, which must be there."""
        status, _, image = await self.call("GET", f"/v2/images/{image_id}")
        assert status == 200, image
        assert isinstance(image, dict)
        return image

    async def patch(self, image_id: str, *operations: dict[str, Any]) -> int:
        """The status of a JSON patch."""
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        body = msgspec.json.encode(operations)
        return (await self.call("PATCH", f"/v2/images/{image_id}", data=body, headers=headers))[0]

    async def download(self, image_id: str, **kind: Any) -> bytes:
        """The bytes, checked against the record's digest."""
        status, _, body = await self.call("GET", f"/v2/images/{image_id}/file", **kind)
        assert status == 200, body
        assert isinstance(body, bytes)
        assert hashlib.sha512(body).hexdigest() == (await self.show(image_id))["os_hash_value"]
        return body


def settings(data: Path, **sections: Mapping[str, Any]) -> Config:
    """Settings of a site that keeps its state in `data` and listens on a free port."""
    environ = {"SKERRY_SITE_DATA": str(data), "SKERRY_API_LISTEN": "127.0.0.1:0"}
    for section, keys in sections.items():
        environ |= {f"SKERRY_{section}_{key}".upper(): str(value) for key, value in keys.items()}
    return load(None, environ)


@asynccontextmanager
async def running(
    config: Config, clock: Clock | None = None, belonging: Belonging | None = None
) -> AsyncIterator[Api]:
    """A site that answers."""
    async with (
        open_site(config, clock or SystemClock(), belonging) as site,
        listening(site) as url,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        yield Api(url, session, site)


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Link, str]]:
    """A line to a site that can be cut, and the URL at its near end."""
    target = urlsplit(url)
    link = Link((str(target.hostname), int(target.port or 0)))
    async with link.listening() as port:
        yield link, f"http://127.0.0.1:{port}"


class Counter:
    """A proxy in front of a site that counts the requests it passes on, by method and path."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.requests: list[str] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Pass requests on; yields the URL."""
        async with aiohttp.ClientSession(auto_decompress=False) as session:

            async def answer(request: web.Request) -> web.StreamResponse:
                if request.path != "/healthcheck":
                    self.requests.append(f"{request.method} {request.path}")
                headers = {k: v for k, v in request.headers.items() if k not in ("Host", "Transfer-Encoding")}
                body = await request.read() if request.body_exists else None
                async with session.request(
                    request.method, self.target + request.path_qs, headers=headers, data=body
                ) as got:
                    passed = {
                        k: v
                        for k, v in got.headers.items()
                        if k not in ("Transfer-Encoding", "Server", "Date")
                    }
                    response = web.StreamResponse(status=got.status, headers=passed)
                    await response.prepare(request)
                    async for chunk in got.content.iter_any():
                        await response.write(chunk)
                    return response

            app = web.Application(client_max_size=1 << 40)
            app.router.add_route("*", "/{path:.*}", answer)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    def take(self) -> list[str]:
        """The requests since the last call."""
        taken, self.requests = self.requests, []
        return taken


async def eventually(condition: Callable[[], object]) -> None:
    """Return when the condition holds. Raises TimeoutError when it does not for 20 s."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (what is waited for may happen in another program)
            await asyncio.sleep(0.01)


def noise(size: int) -> bytes:
    """Bytes that no two images share."""
    return os.urandom(size)
