"""How sites come in: /skerry/v1/join, open to everybody, since each request proves by itself whose it is.

The centre decides. Any other site passes a request on to its own upstream, and the answer back; there is no
secret in them, and nothing that it could change unnoticed.
"""

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from skerry.api.bodies import json_answer
from skerry.api.context import Site
from skerry.api.visitors import connection_of, member
from skerry.core.enrolment import LARGEST, decode_request
from skerry.core.errors import TooLarge, TooSlow
from skerry.identity.enrolling import ask

if TYPE_CHECKING:
    from skerry.api.federation import Federation


async def show(request: web.Request, site: Site) -> web.Response:
    """GET: whom one would join here."""
    own = member(site.federation)
    if not own.is_centre:
        return await _pass_on(own, None)
    return json_answer(
        {
            "centre": own.name,
            "centre_key": str(own.key.public),
            "authority": own.membership.trusted,
            "issues": own.membership.folder.issued,
        }
    )


async def enrol(request: web.Request, site: Site) -> web.Response:
    """POST: let a site in, or have it by another key; see core.enrolment."""
    own = member(site.federation)
    body = await _read(request, site)
    if not own.is_centre:
        own.check_certified(decode_request(body), connection_of(request))
        return await _pass_on(own, body)
    async with own.desk.turn():
        return json_answer(await own.grant(body, connection_of(request)))


async def _pass_on(own: "Federation", body: bytes | None) -> web.Response:
    upstream = own.membership.upstream
    assert upstream is not None
    async with own.desk.turn():
        return json_answer(await ask(upstream.url, own.membership.asking_context(), body))


async def _read(request: web.Request, site: Site) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(site.config.api.slow_after):
            async for part in request.content.iter_any():
                body += part
                if len(body) > LARGEST:
                    raise TooLarge(f"The request is larger than {LARGEST} bytes.")
    except TimeoutError:
        raise TooSlow("The body of the request did not arrive in time.") from None
    return bytes(body)
