"""The site above, as its feed is asked for and given: both calls of `core.feed.lines`, as a client."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from skerry.core.errors import Busy, Forbidden, UpstreamFailed
from skerry.core.feed import lines
from skerry.core.feed.entry import Stream
from skerry.core.feed.journal import Page, Place
from skerry.core.feed.lines import Receipt
from skerry.upstream.client import UpstreamImages, read_bounded
from skerry.upstream.link import NO_ANSWER

_ANSWER = 64 << 20
"""Bytes of an answer, at most: twice what a source sends, as the texts of entries are escaped."""

_RETRY_AFTER = 5.0
"""Seconds until a site that is busy is asked again, when it does not say."""

PATIENCE = 15.0
"""After so many seconds of silence it is asked whether the site above is still there."""


class Above:
    """Asks the site above. All calls raise UpstreamAway when it is not there, UpstreamFailed when it makes no
    sense, Busy when it says so, and Forbidden when it does not let this site in.
    """

    def __init__(self, upstream: UpstreamImages) -> None:
        self._upstream = upstream
        self._moved = 0

    async def poll(
        self, places: Mapping[Stream, Place], *, but: Collection[Stream], wait: float
    ) -> list[Page]:
        """What is new for somebody who stands at `places`; waits for it, `wait` seconds at most."""
        query = {
            "after": lines.places_to_query(places),
            "but": lines.streams_to_query(but),
            "wait": f"{wait:.3f}",
        }

        async def ask() -> bytes:
            async with self._ask("GET", params=query) as response:
                return await self._read(response)

        return _pages(await self._patiently(ask))

    async def push(self, pages: Sequence[bytes]) -> Receipt:
        """Give what the sites of this part of the tree have written; without a page, ask how it stands."""

        async def send() -> bytes:
            headers = {"Content-Type": lines.CONTENT_TYPE}
            async with self._ask("POST", data=b"".join(pages), headers=headers) as response:
                return await read_bounded(response)

        answer = await self._patiently(send)
        try:
            return Receipt.from_wire(msgspec.json.decode(answer))
        except (ValueError, msgspec.DecodeError) as error:
            raise UpstreamFailed(f"The site above answers with nonsense: {error}") from None

    async def _patiently(self, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        return await self._upstream.link.while_alive(ask, patience=PATIENCE, moved=lambda: self._moved)

    @asynccontextmanager
    async def _ask(self, method: str, **more: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._upstream.timeout)
        try:
            async with self._upstream.session.request(
                method, self._upstream.url + lines.FEED, timeout=timeout, allow_redirects=False, **more
            ) as response:
                self._upstream.link.heard()
                if response.status != 200:
                    raise await _failure(response)
                yield response
        except aiohttp.ClientError as error:
            if isinstance(error, NO_ANSWER):
                raise
            raise UpstreamFailed(f"The site above does not speak proper HTTP: {error!r:.300}") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            self._moved += len(part)
            if size > _ANSWER:
                raise UpstreamFailed("The feed of the site above is absurdly long.")
        return b"".join(parts)


def _pages(text: bytes) -> list[Page]:
    try:
        return list(lines.decode(text.splitlines()))
    except ValueError as error:
        raise UpstreamFailed(f"The feed of the site above makes no sense: {error}") from None


async def _failure(response: aiohttp.ClientResponse) -> Exception:
    text = (await response.content.read(300)).decode(errors="replace").strip()
    said = f"The site above answers {response.status} to its feed: {text}"
    if response.status in (429, 503):
        later = response.headers.get("Retry-After", "")
        return Busy(said, retry_after=min(float(later), 3600.0) if later.isdecimal() else _RETRY_AFTER)
    if response.status in (401, 403):
        return Forbidden(said, hint="This site was removed there, or has not joined.")
    return UpstreamFailed(said, status=response.status)
