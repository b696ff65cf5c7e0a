"""A site as commands see it: requests with the caller's credentials, answers as errors of the tree."""

import asyncio
import json
import os
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from skerry import __version__
from skerry.cli.credentials import headers_from
from skerry.core import errors

DEFAULT_SITE = "http://127.0.0.1:9292"
_BODY = 64 << 20
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
_TRIES = 6
_AHEAD = 4 << 20
"""Bytes of an answer that may come while earlier ones are still being written to disk."""

_ERRORS: dict[int, type[errors.SkerryError]] = {
    400: errors.InvalidInput,
    401: errors.NotAuthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Gone,
    413: errors.TooLarge,
    415: errors.UnsupportedMedia,
    503: errors.UpstreamAway,
    507: errors.NoSpace,
}


def site_argument(parser: ArgumentParser) -> None:
    """Declare `--site`."""
    site = os.environ.get("OS_IMAGE_ENDPOINT_OVERRIDE") or DEFAULT_SITE
    parser.add_argument("--site", default=site, metavar="URL",
                        help="the site to ask (default %(default)s)")  # fmt: skip


class Client:
    """Requests to one site."""

    def __init__(self, site: str, session: aiohttp.ClientSession) -> None:
        self.site = site.rstrip("/").removesuffix("/v2")
        self._session = session

    @asynccontextmanager
    async def request(
        self, method: str, path: str, *, passing: tuple[int, ...] = (), **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; yields the answer, which is a success or has a status in `passing`.

        Raises the error of the tree that the status stands for, with the site's own words, and UpstreamAway
        when the site does not answer or the answer breaks off while it is read.
        """
        try:
            async with self._session.request(method, self.site + path, **options) as response:
                if response.status >= 300 and response.status not in passing:
                    raise await _explain(response)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.UpstreamAway(
                f"{self.site}: {_reason(error)}.", hint="Is the site running, and is --site right?"
            ) from error

    async def json(self, method: str, path: str, **options: Any) -> Any:
        """Send a request; returns the document it is answered with, None when there is none."""
        async with self.request(method, path, **options) as response:
            body = await _bounded(response)
            return json.loads(body) if body else None


@asynccontextmanager
async def connect(site: str, environ: Mapping[str, str] = os.environ) -> AsyncIterator[Client]:
    """A client for the site at the URL `site`, with the credentials of the OS_ variables."""
    credentials = await asyncio.to_thread(headers_from, environ)
    headers = {"User-Agent": f"skerry/{__version__}", "Accept": "application/json, */*;q=0.5", **credentials}
    async with aiohttp.ClientSession(
        headers=headers, timeout=_PATIENCE, auto_decompress=False, read_bufsize=_AHEAD
    ) as session:
        yield Client(site, session)


async def persist(
    attempt: Callable[[], Awaitable[None]],
    reached: Callable[[], int],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call `attempt` again as long as it raises UpstreamAway.

    Six attempts in a row after which `reached`, in bytes, has not grown end it: the last error is raised.
    The first is followed by another at once, later ones after 0.5, 1, 2 and 4 s.
    """
    furthest, tries = -1, 0
    while True:
        try:
            return await attempt()
        except errors.UpstreamAway as error:
            tries = 1 if reached() > furthest else tries + 1
            furthest = max(furthest, reached())
            if tries == _TRIES:
                hint = "The same command goes on where this one stopped."
                raise errors.UpstreamAway(error.message, hint=hint) from error
        await sleep(2.0 ** (tries - 3) if tries > 1 else 0.0)


def _reason(error: Exception) -> str:
    """What went wrong below HTTP, for a person."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        return "the connection broke off"
    return str(error) or type(error).__name__


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > _BODY:
            raise errors.UpstreamFailed(f"{response.url} answers with too much.", status=response.status)
    return bytes(body)


async def _explain(response: aiohttp.ClientResponse) -> errors.SkerryError:
    """The error that an answer stands for, with the site's words when it has some."""
    text = (await response.content.read(4096)).decode(errors="replace")
    try:
        document = json.loads(text)
        said = str(document.get("message") or document.get("title") or "")
    except (ValueError, AttributeError):
        said = ""
    message = said or f"{response.url} answers {response.status} {response.reason}."
    kind = _ERRORS.get(response.status)
    return kind(message) if kind else errors.UpstreamFailed(message, status=response.status)
