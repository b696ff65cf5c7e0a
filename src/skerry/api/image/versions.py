"""Which versions of the API there are. Source: Image API v2 reference, "API versions"."""

from aiohttp import web

from skerry.api.bodies import json_answer
from skerry.api.context import Site

_HOME = tuple(f"v2.{minor}" for minor in (17, 15, 9, 7, 6, 5, 4, 3, 2, 1, 0))
"""Those of Glance 2026.1 with one store and no cache, the current one first."""

_EDGE = ("v2.18", "v2.17", "v2.16", "v2.15", "v2.14", *_HOME[2:])
"""Those of Glance 2026.1 with one store and a cache."""


async def versions(request: web.Request, site: Site) -> web.Response:
    """GET /versions."""
    return _answer(request, site, 200)


async def choices(request: web.Request, site: Site) -> web.Response:
    """GET / and /v2, and whatever else has no version in it: a choice, which is status 300."""
    return _answer(request, site, 300)


def _answer(request: web.Request, site: Site, status: int) -> web.Response:
    base = (site.config.api.public_url or f"{request.scheme}://{request.host}").rstrip("/")
    links = [{"rel": "self", "href": f"{base}/v2/"}]
    current, *supported = _HOME if site.edge is None else _EDGE
    documents = [{"id": current, "status": "CURRENT", "links": links}]
    documents += [{"id": version, "status": "SUPPORTED", "links": links} for version in supported]
    return json_answer({"versions": documents}, status=status)
