"""What this site can do. Source: Image API v2 reference, "Import methods and values discovery"."""

from aiohttp import web

from skerry.api.bodies import json_answer
from skerry.api.context import Site
from skerry.core.caller import Caller
from skerry.core.errors import NotFound


async def import_methods(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/info/import."""
    methods = {
        "description": "Import methods available.",
        "type": "array",
        "value": site.config.imports.methods,
    }
    return json_answer({"import-methods": methods})


async def stores(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/info/stores: one store needs no choosing, which Glance says with 404."""
    raise NotFound("Multi backend is not supported at this site.")


async def usage(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/info/usage: there are no quotas, so none is used."""
    return json_answer({"usage": {}})
