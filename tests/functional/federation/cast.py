"""A centre with users, and sites that join it, for tests: everything that is real, but for the network."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from skerry import service
from skerry.config import Config
from skerry.core.clock import Clock
from skerry.core.enrolment import Token
from skerry.identity.membership import Belongs, Membership, open_membership
from tests.functional.people import PASSWORD, Answer, Peopled, Person, peopled
from tests.functional.sites import Api, running, settings
from tests.simulators.clock import ManualClock

LISTEN = {"listen": "127.0.0.1:0"}


@asynccontextmanager
async def centre(
    folder: Path, clock: Clock | None = None, **sections: Mapping[str, Any]
) -> AsyncIterator[Peopled]:
    """A running centre called `central` that knows admin, alice, bob and carol."""
    folder.mkdir(exist_ok=True)
    given = {"site": {"name": "central"}, "sites": LISTEN, **sections}
    async with peopled(folder, clock=clock, **given) as result:
        yield result


def sites_url(site: Peopled | Api) -> str:
    """Where a site listens to others."""
    federation = site.site.federation
    assert federation is not None
    return federation.url


async def invite(at: Peopled, name: str, **more: Any) -> str:
    """A token for a new site."""
    answer = await at.admin.send("POST", "/skerry/v1/sites", {"name": name, **more})
    assert answer.status == 201, answer.body
    token = answer.json["token"]
    assert isinstance(token, str)
    return token


async def join(config: Config, url: str, token: str) -> Belongs:
    """What `skerry join` does."""
    return await service.join(config, url, Token.parse(token))


async def joined(at: Peopled, folder: Path, name: str, url: str = "", **more: Any) -> Config:
    """The settings of a site that has joined at a site's URL, the centre's by default."""
    sections = more.pop("sections", {})
    config = settings(folder, **sections)
    await join(config, url or sites_url(at), await invite(at, name, **more))
    return config


@asynccontextmanager
async def member(config: Config, clock: Clock | None = None) -> AsyncIterator[Api]:
    """A running site."""
    async with running(config, clock) as api:
        yield api


def identity_of(config: Config) -> Membership:
    """Who a site is, by its files."""
    found = open_membership(config, ManualClock().now())
    assert found is not None
    return found


@asynccontextmanager
async def as_site(of: Membership) -> AsyncIterator[Person]:
    """Requests to the upstream of a site, made with its certificate alone."""
    assert of.upstream is not None
    connector = aiohttp.TCPConnector(ssl=of.client_context())
    async with aiohttp.ClientSession(of.upstream.url, connector=connector) as session:
        yield Person(of.name, session)


__all__ = [
    "LISTEN",
    "PASSWORD",
    "Answer",
    "Peopled",
    "Person",
    "as_site",
    "centre",
    "identity_of",
    "invite",
    "join",
    "joined",
    "member",
    "sites_url",
]
