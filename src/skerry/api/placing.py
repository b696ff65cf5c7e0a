"""The part of a site that places images, for handlers."""

from typing import TYPE_CHECKING

from aiohttp import web

from skerry.api.context import Placing, Site
from skerry.core.errors import NotFound

if TYPE_CHECKING:
    from skerry.sync.reconciler import Reconciler


def placing(site: Site) -> Placing:
    """What places images here. Raises NotFound at a site that stands alone."""
    if site.placing is None:
        raise NotFound(
            "Placements are for sites that belong together, and this one stands alone.",
            hint="docs/sites.md says how a centre is set up, and how a site joins it.",
        )
    return site.placing


def reconciler(site: Site) -> "Reconciler":
    """What makes this site what the placements say. Raises NotFound at the centre."""
    found = placing(site).reconciler
    if found is None:
        raise NotFound("The centre is home to what it has: nothing is placed here.", hint="Ask an edge.")
    return found


def wanted(request: web.Request, name: str) -> str | None:
    """A parameter of the query, if it is there and says something."""
    return request.query.get(name) or None
