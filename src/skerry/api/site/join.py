"""How sites come in: /skerry/v1/join, open to everybody, since each request proves by itself whose it is.

The centre decides. Any other site passes the request on to its own upstream, and the answer back; it can
neither read a secret in them nor change them.
"""

import asyncio

from aiohttp import web

from skerry.api.context import Site
from skerry.api.bodies import json_answer
from skerry.api.federation import connection_of, federation
from skerry.core.enrolment import LARGEST
from skerry.core.errors import NotFound, TooLarge, TooSlow, UpstreamAway
from skerry.identity.enrolling import ask

_AT_ONCE = 4
_WAITING = 64
"""Requests that are worked on, and that wait. More come from somebody who means no good, or may come later."""


class Desk:
    """Where requests queue up."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._present = 0

    async def __aenter__(self) -> None:
        if self._present >= _AT_ONCE + _WAITING:
            raise UpstreamAway("Too many sites want to join at this moment.", retry_after=5)
        self._present += 1
        try:
            await self._turns.acquire()
        except BaseException:
            self._present -= 1
            raise

    async def __aexit__(self, *failure: object) -> None:
        self._present -= 1
        self._turns.release()


async def show(request: web.Request, site: Site) -> web.Response:
    """GET: whom one would join here."""
    own = _federation(site)
    if own.membership.upstream is not None:
        async with own.desk:
            return json_answer(await ask(own.membership.upstream.url, own.membership.anonymous_context()))
    return json_answer(
        {
            "centre": own.membership.name,
            "centre_key": str(own.membership.key.public),
            "authority": own.membership.trusted,
            "issues": own.membership.folder.issued,
        }
    )
