"""Image API v2 as a client: all that this site asks of the image service above it.

The upstream may be another Skerry or a stock Glance; nothing here goes beyond the API, except that a Skerry
answers a list with an ETag, which spares both ends the list when nothing has changed.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec

from skerry.catalog.base import Known
from skerry.core.clock import Clock
from skerry.core.errors import (
    AccountRefused,
    ConfigError,
    IdentityAway,
    NotFound,
    SkerryError,
    UpstreamAway,
    UpstreamFailed,
)
from skerry.core.freshness import STALE, Staleness
from skerry.core.image import Image, Member
from skerry.core.meter import Meter
from skerry.core.wire import image_from_wire, member_from_wire
from skerry.identity.credential import Credential
from skerry.upstream.link import NO_ANSWER, Link

log = logging.getLogger(__name__)
T = TypeVar("T")

_ANSWER_LIMIT = 16 << 20
INDEX_TYPE, PACKS_TYPE = "application/vnd.skerry.index", "application/vnd.skerry.packs"
LIKE = "Skerry-Like"
"""The header that says that an index comes as what differs from that of another image."""

_PAGE = 100
"""Small enough for a stock Glance to answer within the link's timeout."""

_PAGES = 5000
"""A list that goes on for longer has no end."""

_RETRY_AFTER = 5.0
"""Seconds until an upstream that is there, and cannot answer, is worth another try."""

_REASON = 500
"""Characters of a reason: each site on the way adds to it."""

_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, RecursionError, msgspec.DecodeError)
"""What is raised over a document that is not what it should be."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of upstream's list (None: as it was), its ETag if any, and what upstream says of its age."""

    images: Sequence[Image] | None
    etag: str | None
    stale: Staleness | None


class UpstreamImages:
    """The images of the site above. All calls raise UpstreamAway when it is not there, UpstreamFailed when it
    answers with something that cannot be used. Answers are bounded in bytes and time.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        credential: Credential,
        *,
        timeout: float,
        clock: Clock,
    ) -> None:
        self.url = url.rstrip("/")
        self.session = session
        self.link = Link(self._probe, timeout=timeout, clock=clock)
        self._credential = credential
        self.timeout = timeout
        self.received = 0
        """Bytes of images that have come from there since the start."""
        self.meter = Meter()

    async def image(self, image_id: str, *, fallback: bool) -> Known:
        """One record, and what upstream says of its age. Raises NotFound. `fallback` as for Link.call."""
        headers, document = await self._get(f"/v2/images/{image_id}", fallback=fallback)
        image = _understand(image_from_wire, document)
        if image.id != image_id:
            raise UpstreamFailed(f"The upstream site answered with image {image.id}, asked for {image_id}.")
        return Known(image, _staleness(headers))

    async def members(self, image_id: str, *, fallback: bool) -> Sequence[Member]:
        """The members of a shared image. Raises NotFound."""
        _, document = await self._get(f"/v2/images/{image_id}/members", fallback=fallback)
        found = _understand(lambda doc: [member_from_wire(one) for one in doc["members"]], document)
        if any(member.image_id != image_id for member in found):
            raise UpstreamFailed(f"The upstream site answered with members of another image than {image_id}.")
        return list({member.project_id: member for member in found}.values())

    async def named(self, name: str, *, hidden: bool | None) -> AsyncIterator[Listed]:
        """The images of this name that this site may see, `hidden` or not; None is both."""
        query = {"name": f"eq:{name}", "visibility": "all", "member_status": "all", "limit": str(_PAGE)}
        for flag in ("false", "true") if hidden is None else (str(hidden).lower(),):
            path = "/v2/images?" + urlencode(query | {"os_hidden": flag})
            yield _listed(*await self._get(path, fallback=True))

    async def pages(self, etag: str | None) -> AsyncIterator[Listed]:
        """All images that this site may see, hidden ones too, page by page.

        When the list still has `etag` there is one page, which says so. A record that makes no sense is left
        out: it must not hide all others. A list that goes round in circles, or on for ever, is
        UpstreamFailed.
        """
        for hidden in ("false", "true"):
            query = {"visibility": "all", "member_status": "all", "os_hidden": hidden, "limit": _PAGE,
                     "sort": "created_at:asc,id:asc"}  # fmt: skip
            path: str | None = "/v2/images?" + urlencode(query)
            been: set[str] = set()
            while path:
                if path in been or len(been) == _PAGES or not path.startswith("/v2/images?"):
                    raise UpstreamFailed(f"The upstream site's list goes on at {path!r:.200}, and cannot.")
                been.add(path)
                wanted = {"If-None-Match": etag} if etag and hidden == "false" else {}
                headers, document = await self._get(path, fallback=True, headers=wanted)
                yield _listed(headers, document)
                if document is None:
                    return
                etag = None
                path = _understand(lambda doc: str(doc.get("next") or ""), document)

    @asynccontextmanager
    async def data(
        self, image_id: str, offset: int, *, stall: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The bytes of an image from `offset` on (status 206), or all of them (200) where ranges are not had.

        A pause of `stall` seconds in the stream ends it with one of link.NO_ANSWER.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._ask(f"/v2/images/{image_id}/file", headers, stall) as response:
            if response.status == 404:
                raise NotFound(f"Upstream has no image {image_id}.", image=image_id)
            if response.status not in (200, 206):
                raise await _failure(response)
            with _to_its_end(response):
                yield response

    async def index(
        self, image_id: str, like: str | None, *, most: int, stall: float, begin: bool = True
    ) -> tuple[bytes, str, float] | None:
        """The file of the index of an image, of at most `most` bytes; None when upstream has none.

        Also the name of the index by which it is shortened ("" when it is not), which is `like` or none, and
        at how many bytes a second it came. A pause as for `data`. That is Skerry's own: others answer that
        they do not know of it. An upstream that does not have the image begins to fetch it, if `begin`.
        """
        query = ({"like": like} if like else {}) | ({} if begin else {"begin": "no"})
        path = f"/skerry/v1/images/{image_id}/index" + (f"?{urlencode(query)}" if query else "")
        async with self._ask(path, {}, stall) as response:
            if response.status == 503:
                raise await _failure(response)
            if response.status != 200 or response.content_type != INDEX_TYPE:
                return None
            began = time.monotonic()
            body = await read_bounded(response, most)
            rate = len(body) / max(time.monotonic() - began, 1e-6)
            return body, like or "" if response.headers.get(LIKE) == like else "", rate

    @asynccontextmanager
    async def packs(
        self, image_id: str, order: bytes, *, stall: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The packs that an order asks for, see `chunking.pack_stream`. A pause as for `data`."""
        path = f"/skerry/v1/images/{image_id}/packs"
        async with self._ask(path, {}, stall, body=order) as response:
            if response.status != 200 or response.content_type != PACKS_TYPE:
                raise await _failure(response)
            with _to_its_end(response):
                yield response

    async def presence(self, image_id: str, wanted: int | None, *, patience: float) -> bytes | None:
        """Which chunks of an image are there, see `chunking.presence`; None from who does not know of that.

        `wanted` is a byte of the file that is waited for here. No answer within `patience` seconds is one of
        link.NO_ANSWER.
        """
        path = f"/skerry/v1/images/{image_id}/chunks" + ("" if wanted is None else f"?want={wanted}")
        async with asyncio.timeout(patience), self._ask(path, {}) as response:
            if response.status == 503:
                raise await _failure(response)
            return await read_bounded(response) if response.status == 200 else None

    async def meet(self, image_id: str, body: bytes) -> bytes | None:
        """Who else has an image, for who says that it is here or about to be; see `transfer.siblings`.

        None from who does not know of that.
        """
        path = f"/skerry/v1/images/{image_id}/sources"
        async with asyncio.timeout(self.timeout), self._ask(path, {}, body=body) as response:
            return await read_bounded(response) if response.status == 200 else None

    async def check_credential(self) -> None:
        """Ask for something small. Raises ConfigError when this site's credential is refused."""
        try:
            await self._get("/v2/images?limit=1", fallback=False)
        except UpstreamFailed as error:
            if isinstance(error.__cause__, AccountRefused):
                raise ConfigError(error.message, hint=error.hint) from None
            if error.status in (401, 403):
                raise ConfigError(
                    f"[upstream] auth: {self.url} refuses this site's credential (HTTP {error.status}).",
                    hint="Check the account and its roles: it must be able to read all images for this site.",
                ) from None
            raise

    async def _probe(self) -> None:
        """Any answer will do, even one that is no proper HTTP."""
        with suppress(aiohttp.ClientResponseError):
            async with self.session.get(f"{self.url}/healthcheck", allow_redirects=False):
                pass

    @asynccontextmanager
    async def _ask(
        self, path: str, headers: Mapping[str, str], stall: float | None = None, *, body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One GET, or POST of a `body`, as this site, with a fresh credential if the first is refused.

        `stall` is how long the header may take, and a pause in the body; without it the caller sees to that.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.timeout, sock_read=stall)
        own = await self._own()
        try:
            for last in (False, True):
                async with (
                    asyncio.timeout(stall) as header,
                    self.session.request(
                        "GET" if body is None else "POST",
                        self.url + path,
                        headers={**own, **headers},
                        data=body,
                        timeout=timeout,
                        allow_redirects=False,
                    ) as response,
                ):
                    header.reschedule(None)
                    self.link.heard()
                    if response.status != 401 or last:
                        if response.headers.get("Content-Encoding", "identity") != "identity":
                            raise UpstreamFailed("The upstream site compresses what it was asked not to.")
                        yield response
                        return
                own = await self._own(own)
        except aiohttp.ClientError as error:
            if isinstance(error, NO_ANSWER):
                raise
            raise UpstreamFailed(f"The upstream site does not speak proper HTTP: {error!r:.300}") from error

    async def _own(self, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        """This site's credential. Without one upstream is of no use, so that what is known here is used.

        It is waited for half the link's timeout: an identity service that is slow is no line that is cut.
        """
        try:
            async with asyncio.timeout(self.timeout / 2):
                return await (self._credential.refresh(refused) if refused else self._credential.headers())
        except TimeoutError:
            raise UpstreamFailed("The identity service is slow to give this site a token.") from None
        except IdentityAway as error:
            raise UpstreamFailed(error.message, hint=error.hint) from error

    async def _get(
        self, path: str, *, fallback: bool, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], Any]:
        """Headers and JSON of one answer; None for 304."""

        async def send() -> tuple[Mapping[str, str], Any]:
            async with self._ask(path, headers or {}) as response:
                if response.status == 304:
                    return response.headers, None
                if response.status == 404:
                    raise NotFound(f"Upstream knows nothing of {path}.")
                if response.status != 200:
                    raise await _failure(response)
                return response.headers, _understand(msgspec.json.decode, await read_bounded(response))

        return await self.link.call(send, fallback=fallback)


async def read_bounded(response: aiohttp.ClientResponse, most: int = _ANSWER_LIMIT) -> bytes:
    """The body of an answer that is a document. Raises UpstreamFailed when it is absurdly large."""
    body = b""
    while len(body) <= most and (more := await response.content.read(most)):
        body += more
    if len(body) > most:
        raise UpstreamFailed(f"The upstream site's answer about {response.url.path} is absurdly large.")
    return body


@contextmanager
def _to_its_end(response: aiohttp.ClientResponse) -> Iterator[None]:
    """An answer that is left before its end takes its connection with it, at once.

    TLS would be ended in order, for which all that is still under way has to come: megabytes, over a line
    that was cut for a while, and asked for again already.
    """
    connection = response.connection
    transport = connection.transport if connection is not None else None
    try:
        yield
    finally:
        if transport is not None and not response.content.is_eof():
            transport.abort()


async def _failure(response: aiohttp.ClientResponse) -> SkerryError:
    text = (await response.content.read(300)).decode(errors="replace").strip()
    if response.status == 503:
        return UpstreamAway(
            f"The upstream site cannot answer now: {text}",
            hint="It may be cut off itself; this site goes on with what it has and tries again.",
            retry_after=_retry_after(response),
        )
    return UpstreamFailed(
        f"The upstream site answered {response.status} to {response.url.path}: {text}", status=response.status
    )


def _retry_after(response: aiohttp.ClientResponse) -> float:
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() and len(said) < 5 else _RETRY_AFTER


def _understand(convert: Callable[[Any], T], document: Any) -> T:
    """Convert what an upstream sent; whatever is wrong with it is upstream's failure, not a crash of ours."""
    try:
        return convert(document)
    except _NONSENSE as error:
        raise UpstreamFailed(
            f"The upstream site sent something that is not Image API v2: {error!r:.300}"
        ) from error


def _staleness(headers: Mapping[str, str]) -> Staleness | None:
    """What an upstream says that lives from one itself."""
    said = headers.get(STALE)
    if said is None:
        return None
    stale = _understand(Staleness.from_wire, said)
    return Staleness(stale.as_of, f"The upstream site says: {stale.reason}"[:_REASON])


def _listed(headers: Mapping[str, str], document: Any) -> Listed:
    images = None if document is None else _understand(_images, document)
    return Listed(images, headers.get("ETag"), _staleness(headers))


def _images(document: Any) -> list[Image]:
    """The images of a page, without those that make no sense."""
    if len(document["images"]) > _PAGE:
        raise ValueError(f"more than the {_PAGE} images asked for")
    found = []
    for one in document["images"]:
        try:
            found.append(image_from_wire(one))
        except _NONSENSE as error:
            log.warning("an image in upstream's list is left out: %r", error)
    return found
