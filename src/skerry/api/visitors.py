"""Which of the sites that belong to this one's federation makes a request, if one does."""

import ssl
from typing import TYPE_CHECKING

from aiohttp import web

from skerry.core.caller import Caller
from skerry.core.errors import NotFound

if TYPE_CHECKING:
    from skerry.api.federation import Federation

FORWARDED = "Skerry-Forwarded"
"""Says that a request is a user's, passed on by a site, where users have no credential to tell it by."""

_CREDENTIALS = ("X-Auth-Token", "Authorization", FORWARDED)


def member(of: "Federation | None") -> "Federation":
    """The part of a site that belongs to others. Raises NotFound for a site that belongs to none."""
    if of is None:
        raise NotFound(
            "This site belongs to no others.",
            hint="A centre has [sites] listen; another site joins it with: skerry join URL TOKEN",
        )
    return of


def let_in(of: "Federation | None", request: web.Request) -> str | None:
    """The site that a request comes by; None at the API's listener. Raises Forbidden.

    Whoever comes in at the sites' listener has to be a site, also one that passes on what a user wants.
    """
    return None if of is None else of.peer(request)


def visitor(of: "Federation | None", request: web.Request) -> Caller | None:
    """The site that makes a request of its own; None for a request that is a user's. Raises Forbidden."""
    name = let_in(of, request)
    if name is None or any(header in request.headers for header in _CREDENTIALS):
        return None
    return Caller(user_id=None, project_id=None, site=name)


def connection_of(request: web.Request) -> ssl.SSLObject | None:
    """The TLS connection that a request came by; there is none at the API's listener.

    Raises ConnectionResetError when it is gone: then nobody knows at which listener it was.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("The client is gone.")
    found = transport.get_extra_info("ssl_object")
    return found if isinstance(found, ssl.SSLObject) else None
