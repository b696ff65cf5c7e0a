"""From errors to HTTP: the only place that knows which status an error has.

Statuses are Glance's where Glance has one. Bodies are in the two forms of Glance's framework (WebOb),
because clients take their messages out of them: JSON for who asks for it, HTML for everybody else.
"""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus

import msgspec
from aiohttp import hdrs, web

from skerry.core import errors
from skerry.core.patch import MEDIA_TYPES

STATUS: Mapping[type[errors.SkerryError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.BadImage: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Gone: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.NoData: HTTPStatus.NO_CONTENT,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.RangeNotSatisfiable: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.NoSpace: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.StoreFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.WrongBytes: HTTPStatus.BAD_GATEWAY,
    errors.UnknownFormat: HTTPStatus.BAD_GATEWAY,
    errors.UpstreamAway: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UpstreamFailed: HTTPStatus.BAD_GATEWAY,
    errors.Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.IdentityAway: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: errors.SkerryError) -> HTTPStatus:
    """The HTTP status of an error; 500 for what no request should meet."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def answer_error(request: web.Request, error: errors.SkerryError, *, challenge: str) -> web.Response:
    """The answer to a request that failed. `challenge` tells who is not known how to authenticate."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers[hdrs.WWW_AUTHENTICATE] = challenge
    if isinstance(error, errors.RangeNotSatisfiable):
        headers[hdrs.CONTENT_RANGE] = f"bytes */{error.size}"
    if status is HTTPStatus.UNSUPPORTED_MEDIA_TYPE and request.method == hdrs.METH_PATCH:
        headers["Accept-Patch"] = ", ".join(MEDIA_TYPES)
    if error.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(max(1, round(error.retry_after)))
    return answer_status(request, status, str(error), headers)


def answer_status(
    request: web.Request, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer that says nothing but its status and a message for a person."""
    if status is HTTPStatus.NO_CONTENT:
        return web.Response(status=status, headers=headers)
    line = f"{status.value} {status.phrase}"
    if _prefers_json(request.headers.get(hdrs.ACCEPT, "*/*")):
        body = msgspec.json.encode({"message": message, "code": line, "title": status.phrase})
        return web.Response(status=status, body=body, content_type="application/json", headers=headers)
    html = (
        f"<html>\n <head>\n  <title>{line}</title>\n </head>\n <body>\n  <h1>{line}</h1>\n"
        f"  {escape(message, quote=False)}<br /><br />\n\n\n </body>\n</html>"
    )
    return web.Response(status=status, text=html, content_type="text/html", headers=headers)


def _prefers_json(accept: str) -> bool:
    return _quality(accept, "application/json") > _quality(accept, "text/html")


def _quality(accept: str, media_type: str) -> float:
    """How welcome a media type is, 0 to 1 (RFC 9110, section 12.5.1); the most specific range decides."""
    ranges = {}
    for item in accept.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        ranges[name] = float(quality) if quality.replace(".", "", 1).isdecimal() else 0.0
    for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0
