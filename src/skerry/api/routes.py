"""Which handler answers which request. What a table is for is all that `app` needs to know of a route."""

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from aiohttp import web

from skerry.api.context import Site
from skerry.api.health import health
from skerry.api.image import (
    actions,
    cache,
    discovery,
    download,
    images,
    imports,
    members,
    schemas,
    tags,
    upload,
    versions,
)
from skerry.api.site import cache as copies
from skerry.api.site import chunks, feed, plans, sites, sources, status, transfers, uploads
from skerry.api.site import copies as deposits
from skerry.core.caller import Caller
from skerry.core.enrolment import JOIN
from skerry.core.feed.lines import FEED
from skerry.transfer.sending import COPIES

Handler = Callable[[web.Request, Site, Caller], Awaitable[web.StreamResponse]]
"""What answers a request of somebody known."""

OpenHandler = Callable[[web.Request, Site], Awaitable[web.StreamResponse]]
"""What answers a request of anybody."""

Routes = Mapping[str, Mapping[str, Handler]]
"""path -> method -> handler."""


class Later:
    """A handler in a module of `api.site` that is loaded when it is first asked for: at most sites, never."""

    def __init__(self, module: str, name: str) -> None:
        self._module = f"skerry.api.site.{module}"
        self._name = name

    def load(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """It itself."""
        found: Callable[..., Awaitable[web.StreamResponse]] = getattr(import_module(self._module), self._name)
        return found

    async def __call__(self, *asked: Any) -> web.StreamResponse:
        """As any handler."""
        return await self.load()(*asked)


OPEN: Mapping[str, Mapping[str, OpenHandler]] = {
    "/": {"GET": versions.choices},
    "/v2": {"GET": versions.choices},
    "/v2/": {"GET": versions.choices},
    "/versions": {"GET": versions.versions},
    "/versions/": {"GET": versions.versions},
    "/healthcheck": {"GET": health, "HEAD": health},
    "/metrics": {"GET": Later("metrics", "show")},
}
"""For anybody; at the sites' listener for sites alone."""

NEWCOMERS: Mapping[str, Mapping[str, OpenHandler]] = {
    JOIN: {"GET": Later("join", "show"), "POST": Later("join", "enrol")},
}
"""For anybody, at either listener."""

BETWEEN: Mapping[str, Mapping[str, OpenHandler]] = {
    FEED: {"GET": feed.follow, "POST": feed.send},
    "/skerry/v1/images/{image_id}/sources": {"POST": sources.meet},
    f"{COPIES}/{{image_id}}": {"HEAD": deposits.show, "PATCH": deposits.append},
}
"""For other sites, which are known by their certificate."""

READ: Routes = {
    "/v2/images/{image_id}": {"GET": images.show},
    "/v2/images": {"GET": images.index},
    "/v2/images/{image_id}/file": {"GET": download.download, "HEAD": download.download},
    "/skerry/v1/images/{image_id}/index": {"GET": chunks.index},
    "/skerry/v1/images/{image_id}/chunks": {"GET": chunks.presence},
    "/skerry/v1/images/{image_id}/packs": {"POST": chunks.packs},
    "/v2/images/{image_id}/members": {"GET": members.index},
    "/v2/images/{image_id}/members/{project_id}": {"GET": members.show},
    "/v2/schemas/{name}": {"GET": schemas.show},
    "/v2/info/import": {"GET": discovery.import_methods},
    "/v2/info/stores": {"GET": discovery.stores},
    "/v2/info/usage": {"GET": discovery.usage},
}
"""Answered from this site's catalogue, whichever kind it is, to users and to other sites."""

LOCAL: Routes = {
    "/v2/cache": {"GET": cache.index, "DELETE": cache.clear},
    "/v2/cache/clean": {"POST": cache.clean},
    "/v2/cache/prune": {"POST": cache.prune},
    "/v2/cache/nodes/{image_id}": {"GET": cache.nodes},
    "/v2/cache/{image_id}": {"PUT": cache.queue, "DELETE": cache.delete},
    "/skerry/v1/status": {"GET": status.show},
    "/skerry/v1/sites": {"GET": sites.index},
    "/skerry/v1/sites/{name}": {"GET": sites.show},
    "/skerry/v1/sites/{name}/preflight": {"GET": Later("knowledge", "preflight")},
    "/skerry/v1/placements": {"GET": Later("placements", "index")},
    "/skerry/v1/placements/plan": {"POST": Later("placements", "plan")},
    "/skerry/v1/copies": {"GET": Later("knowledge", "copies")},
    "/skerry/v1/explain/{image_id}/{name}": {"GET": Later("knowledge", "explain")},
    "/skerry/v1/plan": {"GET": Later("knowledge", "plan")},
    "/skerry/v1/plan/approve": {"POST": Later("knowledge", "approve")},
    "/skerry/v1/images/{image_id}/plan": {"GET": plans.show},
    "/skerry/v1/transfers": {"GET": transfers.index},
    "/skerry/v1/transfers/{image_id}": {"DELETE": transfers.cancel},
    "/skerry/v1/transfers/{image_id}/pause": {"POST": transfers.pause},
    "/skerry/v1/transfers/{image_id}/resume": {"POST": transfers.resume},
    "/skerry/v1/rotate": {"POST": sites.rotate},
    "/skerry/v1/cache": {"GET": copies.listing},
    "/skerry/v1/cache/prune": {"POST": copies.prune},
    "/skerry/v1/cache/{image_id}/pin": {"PUT": copies.pin, "DELETE": copies.unpin},
}
"""About this site itself."""

WRITE: Routes = {
    "/v2/images": {"POST": images.create},
    "/v2/images/{image_id}": {"PATCH": images.update, "DELETE": images.delete},
    "/v2/images/{image_id}/file": {"PUT": upload.upload},
    "/v2/images/{image_id}/stage": {"PUT": upload.stage},
    "/v2/images/{image_id}/import": {"POST": imports.start},
    "/v2/images/{image_id}/tasks": {"GET": imports.tasks},
    "/v2/images/{image_id}/actions/deactivate": {"POST": actions.deactivate},
    "/v2/images/{image_id}/actions/reactivate": {"POST": actions.reactivate},
    "/v2/images/{image_id}/tags/{tag}": {"PUT": tags.add, "DELETE": tags.remove},
    "/v2/images/{image_id}/members": {"POST": members.add},
    "/v2/images/{image_id}/members/{project_id}": {"PUT": members.update, "DELETE": members.remove},
    "/skerry/v1/images/{image_id}/upload": {
        "HEAD": uploads.show,
        "PATCH": uploads.append,
        "DELETE": uploads.cancel,
    },
}
"""What changes a record or its bytes: done at the image's home, and passed on to it at an edge."""

CENTRAL: Routes = {
    "/skerry/v1/sites": {"POST": sites.add},
    "/skerry/v1/sites/{name}": {"PATCH": sites.update, "DELETE": sites.remove},
    "/skerry/v1/placements": {"PUT": Later("placements", "apply")},
}
"""Done at the centre, and passed on to it by all others."""
