"""Asking the site above for what `core.enrolment` is about, over HTTP."""

import json
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp

from skerry.core import errors
from skerry.core.enrolment import JOIN, LARGEST
from skerry.identity.tls import explain

_PATIENCE = aiohttp.ClientTimeout(total=30, sock_connect=10)
_ERRORS: Mapping[int, type[errors.SkerryError]] = {
    400: errors.InvalidInput,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    503: errors.UpstreamAway,
}


async def ask(url: str, context: ssl.SSLContext, body: bytes | None = None) -> bytes:
    """What the site at `url` says to a request (POST), or of itself (GET, without a body).

    Raises the error that the answer stands for, with the site's own words, UpstreamAway when there is none,
    and what `identity.tls.explain` makes of a connection that fails.
    """
    method = "GET" if body is None else "POST"
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE, connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.request(
                method, url.rstrip("/") + JOIN, data=body, headers=headers, allow_redirects=False
            ) as response,
        ):
            said = await response.content.read(LARGEST + 1)
            while len(said) <= LARGEST and (more := await response.content.read(LARGEST)):
                said += more
            if len(said) > LARGEST:
                raise errors.UpstreamFailed(f"{url} answers with too much.", status=response.status)
            if response.status != 200:
                raise _failure(url, response.status, said)
            return said
    except aiohttp.InvalidURL:
        raise errors.InvalidInput(
            f"{url!r:.100} is no URL.", hint="Write for example: https://centre.example:9293"
        ) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise explain(error, url) from error


def _failure(url: str, status: int, said: bytes) -> errors.SkerryError:
    try:
        document: Any = json.loads(said)
        message = str(document["message"])
    except (ValueError, LookupError, TypeError):
        message = f"{url} answers {status}: it is no site that others can join."
    kind = _ERRORS.get(status)
    return kind(message) if kind else errors.UpstreamFailed(message, status=status)
