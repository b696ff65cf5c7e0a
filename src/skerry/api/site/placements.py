"""Which images ought to be at which sites: /skerry/v1/placements. The centre changes them."""

from typing import Any

from aiohttp import web

from skerry.api.bodies import json_answer, read_json
from skerry.api.context import Site
from skerry.api.placing import placing
from skerry.core.caller import Caller
from skerry.core.errors import InvalidInput
from skerry.core.placement.document import dump, parse
from skerry.core.placement.rule import Placement
from skerry.core.placement.wire import to_wire


async def index(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/placements: the document, as it is applied."""
    site.policy.check("skerry:placements_read", caller)
    return json_answer(dump(await placing(site).placements.all()))


async def plan(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /skerry/v1/placements/plan: what would change if the document in the body were applied."""
    site.policy.check("skerry:placements_read", caller)
    proposed, _ = await _read(request, site)
    return json_answer(to_wire(await placing(site).placements.propose(proposed)))


async def apply(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PUT /skerry/v1/placements: apply the document whose plan had this `fingerprint`."""
    site.policy.check("skerry:placements_write", caller)
    proposed, fingerprint = await _read(request, site)
    if not isinstance(fingerprint, str):
        raise InvalidInput(
            "fingerprint is missing.", hint="Ask for the plan first, and send its fingerprint."
        )
    return json_answer(to_wire(await placing(site).placements.replace(proposed, fingerprint)))


async def _read(request: web.Request, site: Site) -> tuple[tuple[Placement, ...], Any]:
    document = await read_json(request, site)
    fingerprint = document.pop("fingerprint", None) if isinstance(document, dict) else None
    return parse(document), fingerprint
