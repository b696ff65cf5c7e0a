"""Have copies read again, and see what came of it: /skerry/v1/verify."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from skerry.api.bodies import json_answer, read_json
from skerry.api.context import Site
from skerry.core.caller import Caller
from skerry.core.copy import CopyState
from skerry.core.errors import InvalidInput, NotFound
from skerry.core.scrubbing import share_of
from skerry.transfer.scrub import Scrubber


async def show(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """What was read of what was asked for last, and what was wrong."""
    site.policy.check("skerry:copies_read", caller)
    scrubber = _scrubber(site)
    return json_answer(
        {
            "running": scrubber.running,
            "ahead": len(scrubber.ahead),
            "verified": len(scrubber.found),
            "bytes": sum(one.size for one in scrubber.found),
            "wrong": [asdict(one) for one in scrubber.found if one.trouble],
        }
    )


async def begin(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """Read some images ({"images": [ID, …]}), or a share of all bytes ({"share": 0.05}; 1 is all)."""
    site.policy.check("skerry:transfers_write", caller)
    body: Any = await read_json(request, site)
    match body:
        case {"images": [*images]} if all(isinstance(image, str) for image in images):
            for image in images:
                _check_whole(site, image)
            chosen = list(dict.fromkeys(images))
        case {"share": int() | float() as share} if 0 < share <= 1:
            chosen = [copy.image_id for copy in share_of(site.copies.all(), share)]
        case _:
            raise InvalidInput(
                "It has to be said what is read.", hint='Send {"share": 0.05} or {"images": ["…"]}.'
            )
    _scrubber(site).ask(chosen)
    return json_answer({"images": len(chosen)}, status=202)


def _scrubber(site: Site) -> Scrubber:
    if site.scrubber is None:
        raise NotFound("This process reads no copies again.", hint="Ask the one that leads.")
    return site.scrubber


def _check_whole(site: Site, image_id: str) -> None:
    copy = site.copies.get(image_id)
    if copy is None or copy.state is not CopyState.COMPLETE:
        raise NotFound(f"Image {image_id} is not whole here.", image=image_id)
