"""The sites of the federation: /skerry/v1/sites. The centre changes them; every site shows what it knows."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from skerry.api.bodies import json_answer, no_content, read_json
from skerry.api.context import Site
from skerry.api.visitors import member
from skerry.core.caller import Caller
from skerry.core.enrolment import Token
from skerry.core.errors import InvalidInput, NotFound
from skerry.core.site import (
    SiteRecord,
    SiteState,
    check_labels,
    check_name,
    check_upstream,
    hang,
    move_to,
    relabel,
    site_to_body,
)
from skerry.core.wire import time_to_wire

_EXPIRES = 3600
_LONGEST = 30 * 86400
"""Seconds that a token is good for: without being told, and at most."""


async def index(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/sites: the centre first, and the others by name."""
    site.policy.check("skerry:sites_read", caller)
    sites = member(site.federation).sites.all().values()
    ordered = sorted(sites, key=lambda one: (one.upstream is not None, one.name))
    return json_answer({"sites": [site_to_body(one) for one in ordered]})


async def show(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /skerry/v1/sites/{name}."""
    site.policy.check("skerry:sites_read", caller)
    return json_answer(site_to_body(member(site.federation).sites.get(request.match_info["name"])))


async def add(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /skerry/v1/sites: invite a site. The token is in the answer, and nowhere else."""
    site.policy.check("skerry:sites_write", caller)
    own = member(site.federation)
    body = _members(await read_json(request, site), "name", "labels", "upstream", "expires")
    name, upstream = check_name(body.get("name")), body.get("upstream") or own.name
    now = site.clock.now().replace(microsecond=0)
    expires = now + timedelta(seconds=_seconds(body.get("expires", _EXPIRES)))
    token = Token.new(name, own.membership.pin)

    def rule(sites: Mapping[str, SiteRecord], record: SiteRecord) -> SiteRecord:
        above = sites[check_upstream(sites, name, upstream)]
        if not above.url:
            raise NotFound(
                f"Site {above.name} does not say where it listens to others.",
                hint="Set [sites] listen and url there.",
            )
        return record

    record = SiteRecord(
        name, upstream, SiteState.INVITED, check_labels(body.get("labels") or {}), invited_at=now
    )
    invited = await own.sites.invite(record, token.key.public, expires, rule)
    answer = {
        "site": site_to_body(invited),
        "token": str(token),
        "url": own.sites.get(upstream).url,
        "expires_at": time_to_wire(expires),
    }
    return json_answer(answer, status=201, headers={"Cache-Control": "no-store"})


async def update(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """PATCH /skerry/v1/sites/{name}: `labels` (null takes one away), `upstream`, `state`; RFC 7396."""
    site.policy.check("skerry:sites_write", caller)
    own = member(site.federation)
    body = _members(await read_json(request, site), "labels", "upstream", "state")

    def rule(sites: Mapping[str, SiteRecord], record: SiteRecord) -> SiteRecord:
        if "labels" in body:
            record = relabel(record, body["labels"])
        if "upstream" in body:
            record = hang(sites, record, body["upstream"])
        if "state" in body:
            record = move_to(record, body["state"])
        return record

    return json_answer(site_to_body(await own.sites.change(request.match_info["name"], rule)))


async def remove(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """DELETE /skerry/v1/sites/{name}: forget a site that does not work any more."""
    site.policy.check("skerry:sites_write", caller)
    await member(site.federation).sites.remove(request.match_info["name"])
    return no_content()


async def rotate(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /skerry/v1/rotate: have this very site take a new key."""
    site.policy.check("skerry:sites_write", caller)
    own = member(site.federation)
    assert site.renewal is not None
    await site.renewal.rotate()
    return json_answer({"site": own.name, "key": str(own.key.public)})


def _members(document: Any, *known: str) -> Mapping[str, Any]:
    """The object that a body is. Raises InvalidInput, also for members that mean nothing."""
    if not isinstance(document, dict):
        raise InvalidInput("The body has to be an object.")
    if unknown := sorted(document.keys() - set(known)):
        raise InvalidInput(f"{unknown[0]!r:.100} means nothing here.", hint=f"Known are {', '.join(known)}.")
    return document


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= _LONGEST:
        raise InvalidInput(f"expires is a number of seconds up to {_LONGEST}.")
    return value
