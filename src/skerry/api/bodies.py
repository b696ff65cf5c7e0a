"""Bodies of requests and answers that are documents, not images."""

import asyncio
from typing import Any

import msgspec
from aiohttp import hdrs, web

from skerry.api.context import Site
from skerry.core.errors import InvalidInput, TooLarge, TooSlow
from skerry.core.freshness import STALE, Staleness


async def read_json(request: web.Request, site: Site) -> Any:
    """The document that a request brings: an object or an array.

    Raises InvalidInput, TooLarge over `limits.body`, TooSlow when it does not come at the least rate.
    """
    try:
        async with asyncio.timeout(site.config.api.slow_after):
            body = await request.read()
    except TimeoutError:
        raise TooSlow("The body of the request did not arrive in time.") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"The body is larger than {site.config.limits.body} bytes.") from None
    if not body:
        raise InvalidInput("Body expected in request.")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("Malformed JSON in request body.") from None
    if not isinstance(document, dict | list):
        raise InvalidInput("Unexpected body type. Expected list/dict.")
    return document


def refuse_body(request: web.Request) -> None:
    """Raise InvalidInput when a request brings what it should not, as Glance does."""
    if request.body_exists:
        raise InvalidInput("A body is not expected with this request.")


def json_answer(document: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """An answer in JSON; `document` may be encoded already."""
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def freshness(stale: Staleness | None) -> dict[str, str]:
    """The headers that say how good an answer is: none when it is as good as asked for."""
    return {} if stale is None else {STALE: stale.to_wire()}


def no_content() -> web.Response:
    """Done, and nothing to say about it."""
    return web.Response(status=204)


def if_none_match(request: web.Request, etag: str) -> bool:
    """Whether the client has the answer with this (strong, quoted) tag already."""
    tags = request.headers.get(hdrs.IF_NONE_MATCH, "")
    return etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))
