"""For load balancers. Source: oslo.middleware's healthcheck, in its default form."""

from aiohttp import web

from skerry.api.context import Site


async def health(request: web.Request, site: Site | None) -> web.Response:
    """GET and HEAD /healthcheck: the site takes requests."""
    return web.Response(status=204) if request.method == "HEAD" else web.Response(text="OK")
