"""An image service to fetch from that can be made to fail: it breaks off, lies, knows no ranges, hangs."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Upstream:
    """Serves the reading half of Image API v2. The knobs take effect with the next request.

    `break_after`: bytes of each answer after which the connection is dropped. `ranges`: whether it
    knows `Range`. `tamper`: so many of the next downloads have a wrong byte. `held`: downloads wait half way
    until it is set. `instead`: what answers in place of "list", "show", "members" or "file".
    """

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.bytes: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.sent = 0
        self.break_after: int | None = None
        self.ranges = True
        self.tamper = 0
        self.failing = 0
        self.instead: dict[str, Answer] = {}
        self.held = asyncio.Event()
        self.held.set()

    def add(self, data: bytes, **attributes: Any) -> str:
        """An active image; returns its id."""
        image_id = f"00000000-0000-4000-8000-{len(self.images):012x}"
        self.bytes[image_id] = data
        self.images[image_id] = {
            "id": image_id, "name": "one", "status": "active", "visibility": "public", "owner": "default",
            "size": len(data), "virtual_size": None, "disk_format": "raw", "container_format": "bare",
            "checksum": hashlib.md5(data).hexdigest(), "os_hash_algo": "sha512",
            "os_hash_value": hashlib.sha512(data).hexdigest(), "os_hidden": False, "protected": False,
            "min_disk": 0, "min_ram": 0, "tags": [], "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", **attributes,
        }  # fmt: skip
        return image_id

    def downloads(self) -> list[str]:
        """The Range header of each download so far, empty where there was none."""
        return [asked.partition(" ")[2] for asked in self.asked if asked.startswith("file")]

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Answer on loopback; yields the URL."""
        app = web.Application()
        app.router.add_get("/healthcheck", self._health)
        app.router.add_get("/v2/images", self._or_instead("list", self._list))
        app.router.add_get("/v2/images/{id}", self._or_instead("show", self._show))
        app.router.add_get("/v2/images/{id}/members", self._or_instead("members", self._members))
        app.router.add_get("/v2/images/{id}/file", self._or_instead("file", self._file))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            self.held.set()
            await runner.cleanup()

    def _or_instead(self, what: str, usual: Answer) -> Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await self.instead.get(what, usual)(request)

        return answer

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _list(self, request: web.Request) -> web.Response:
        self.asked.append("list")
        hidden = request.query.get("os_hidden") == "true"
        return web.json_response({"images": [i for i in self.images.values() if i["os_hidden"] is hidden]})

    async def _show(self, request: web.Request) -> web.Response:
        self.asked.append("show")
        image = self.images.get(request.match_info["id"])
        return web.json_response(image) if image else web.Response(status=404)

    async def _members(self, request: web.Request) -> web.Response:
        self.asked.append("members")
        return web.json_response({"members": []})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"file {request.headers.get('Range', '')}")
        if self.failing:
            self.failing -= 1
            return web.Response(status=500)
        data = self.bytes[request.match_info["id"]]
        if self.tamper:
            self.tamper -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        response = web.StreamResponse()
        start = request.http_range.start or 0
        if start and self.ranges:
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            data = data[start:]
        response.content_length = len(data)
        await response.prepare(request)
        if self.break_after is not None and self.break_after < len(data):
            await response.write(data[: self.break_after])
            self.sent += self.break_after
            await asyncio.sleep(0)
            assert request.transport is not None
            request.transport.close()
            return response
        half = len(data) // 2
        await response.write(data[:half])
        await self.held.wait()
        await response.write(data[half:])
        self.sent += len(data)
        return response
