"""A centre with users, and sites that join it, for tests: everything that is real, but for the network."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from skerry import members
from skerry.config import Config
from skerry.core.clock import Clock, SystemClock
from skerry.core.enrolment import Token
from skerry.identity.membership import Belongs, Membership, open_membership
from tests.functional.people import Peopled, Person, peopled
from tests.functional.sites import Api, running, settings

LISTEN = {"listen": "127.0.0.1:0"}


class Shifted(SystemClock):
    """The machine's clock, which TLS goes by as well, `ahead` seconds."""

    ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)


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
    return await members.join(config, url, Token.parse(token))


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
    return open_membership(config, SystemClock().now())


@asynccontextmanager
async def as_site(of: Membership) -> AsyncIterator[Person]:
    """Requests to the upstream of a site, made with its certificate alone."""
    assert of.upstream is not None
    async with by_tls(of.upstream.url, of.client_context()) as session:
        yield Person(of.name, session)


@asynccontextmanager
async def by_tls(url: str, context: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of whoever listens at a URL. It asks for JSON, as programs do."""
    connector, headers = aiohttp.TCPConnector(ssl=context), {"Accept": "application/json"}
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as session:
        yield session
