"""As much of an image service as a command that moves bytes needs; lines break where a test says."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

NOW = "2026-01-31T12:00:00Z"


class ImageService:
    """Images in memory; `resumable` uploads and `ranges` as a Skerry has them, without as on a stock Glance.

    `breaks` are numbers of bytes: each upload or download uses one up, and is broken off after so many. A
    download is first awaited by `seen`, which is told the position in the image. `mute` breaks the line
    after an upload is whole and before it is answered, once.
    """

    def __init__(self, *, resumable: bool = True, ranges: bool = True, breaks: Iterable[int] = ()) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.data: dict[str, bytearray] = {}
        self.breaks = list(breaks)
        self.calls: list[str] = []
        self.mute = False
        self.seen: Callable[[int], Awaitable[None]] | None = None
        self.url = ""
        self._resumable = resumable
        self._ranges = ranges

    def add(self, image_id: str, name: str, data: bytes) -> None:
        """An active image."""
        self.records[image_id] = _record(image_id, {"name": name})
        self.data[image_id] = bytearray(data)
        self._activate(image_id)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port; yields the URL."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v2/images", self._create)
        app.router.add_get("/v2/images", self._list)
        app.router.add_get("/v2/images/{id}", self._show)
        app.router.add_get("/v2/images/{id}/file", self._download)
        app.router.add_put("/v2/images/{id}/file", self._upload)
        if self._resumable:
            app.router.add_head("/skerry/v1/images/{id}/upload", self._offset)
            app.router.add_patch("/skerry/v1/images/{id}/upload", self._append)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            self.url = "http://{}:{}".format(*runner.addresses[0][:2])
            yield self.url
        finally:
            await runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        document = await request.json()
        image_id = document.get("id", f"00000000-0000-4000-8000-{len(self.records):012}")
        self.records[image_id] = _record(image_id, document)
        self.data[image_id] = bytearray()
        return web.json_response(self.records[image_id], status=201)

    async def _list(self, request: web.Request) -> web.Response:
        found = [record for record in self.records.values() if record["name"] == request.query["name"]]
        return web.json_response({"images": found})

    async def _show(self, request: web.Request) -> web.Response:
        record = self.records.get(request.match_info["id"])
        if record is None:
            return web.json_response({"message": "No such image."}, status=404)
        return web.json_response(record)

    async def _offset(self, request: web.Request) -> web.Response:
        image_id = request.match_info["id"]
        complete = "?1" if self.records[image_id]["status"] == "active" else "?0"
        headers = {"Upload-Offset": str(len(self.data[image_id])), "Upload-Complete": complete}
        return web.Response(status=204, headers=headers)

    async def _append(self, request: web.Request) -> web.Response:
        data = self.data[request.match_info["id"]]
        self.calls.append(f"PATCH at {request.headers['Upload-Offset']}")
        if request.headers["Upload-Offset"] != str(len(data)):
            return web.json_response({"message": "Wrong offset."}, status=409)
        return await self._receive(request)

    async def _upload(self, request: web.Request) -> web.Response:
        self.calls.append("PUT")
        self.data[request.match_info["id"]].clear()
        return await self._receive(request)

    async def _receive(self, request: web.Request) -> web.Response:
        image_id = request.match_info["id"]
        left = self.breaks.pop(0) if self.breaks else None
        while piece := await request.content.read(64 << 10 if left is None else min(left, 64 << 10)):
            self.data[image_id] += piece
            if left is not None:
                left -= len(piece)
                if left == 0:
                    _break(request)
                    break
        else:
            self._activate(image_id)
            if self.mute:
                self.mute = False
                _break(request)
        return web.Response(status=204)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        data = bytes(self.data[request.match_info["id"]])
        start = request.http_range.start or 0
        self.calls.append(f"GET from {start}")
        response = web.StreamResponse(status=206 if start and self._ranges else 200)
        if response.status == 200:
            start = 0
        response.content_length = len(data) - start
        await response.prepare(request)
        if self.breaks:
            end = start + self.breaks.pop(0)
            await response.write(data[start:end])
            if self.seen is not None:
                await self.seen(end)
            _break(request)
        else:
            await response.write(data[start:])
        return response

    def _activate(self, image_id: str) -> None:
        data = self.data[image_id]
        self.records[image_id] |= {
            "status": "active",
            "size": len(data),
            "checksum": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "os_hash_algo": "sha512",
            "os_hash_value": hashlib.sha512(data).hexdigest(),
        }


def _record(image_id: str, document: dict[str, Any]) -> dict[str, Any]:
    base = {"id": image_id, "status": "queued", "visibility": "shared", "created_at": NOW, "updated_at": NOW}
    return {**document, **base}


def _break(request: web.Request) -> None:
    """End the connection after what has been written so far, as a line that breaks would."""
    assert request.transport is not None
    request.transport.close()
