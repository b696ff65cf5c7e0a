"""Where connections come in."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler


class Door:
    """Who brings no request within `patience` seconds of coming in is sent away.

    Connections that have brought one before are looked after by aiohttp's keep-alive timeout.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._new: dict[RequestHandler, asyncio.TimerHandle] = {}

    async def open(
        self, server: "web.Server", host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> asyncio.Server:
        """Let connections to `server` in, by TLS if `tls` is given. Raises OSError."""
        patience = self._patience if tls is not None else None
        return await asyncio.get_running_loop().create_server(
            self._enter(server), host, port, backlog=1024, ssl=tls, ssl_handshake_timeout=patience
        )

    async def open_at(self, server: "web.Server", entrance: socket.socket) -> asyncio.Server:
        """Let connections in that come to a socket, which is closed with the result."""
        loop = asyncio.get_running_loop()
        if entrance.family == socket.AF_UNIX:
            return await loop.create_unix_server(self._enter(server), sock=entrance)
        return await loop.create_server(self._enter(server), sock=entrance, backlog=1024)

    def heard(self, request: web.Request) -> None:
        """To be told of each request whose header has come."""
        timer = self._new.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()

    def _enter(self, server: "web.Server") -> Callable[[], RequestHandler]:
        loop = asyncio.get_running_loop()

        def enter() -> RequestHandler:
            guest = server()
            self._new[guest] = loop.call_later(self._patience, self._send_away, guest)
            return guest

        return enter

    def _send_away(self, guest: RequestHandler) -> None:
        del self._new[guest]
        guest.force_close()
