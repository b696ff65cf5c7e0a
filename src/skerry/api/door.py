"""Where connections come in."""

import asyncio
import ssl

from aiohttp import web
from aiohttp.typedefs import Handler
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
        loop = asyncio.get_running_loop()

        def enter() -> RequestHandler:
            guest = server()
            self._new[guest] = loop.call_later(self._patience, self._send_away, guest)
            return guest

        patience = self._patience if tls is not None else None
        return await loop.create_server(
            enter, host, port, backlog=1024, ssl=tls, ssl_handshake_timeout=patience
        )

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Hears of each request whose header has come."""
        timer = self._new.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        return await handler(request)

    def _send_away(self, guest: RequestHandler) -> None:
        del self._new[guest]
        guest.force_close()
