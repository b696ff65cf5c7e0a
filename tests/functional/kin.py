"""Trees of sites on loopback that know each other from the start, without certificates."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from skerry.catalog.journal import Journal
from skerry.core.feed.entry import Stream
from skerry.core.feed.follow import Change
from skerry.core.feed.offer import MayRead
from skerry.core.signing import PublicKey, SigningKey
from skerry.lab.link import Link
from tests.functional.sites import Api, line_to, running, settings

SITE = "X-Test-Site"
"""Says which site asks, in place of a certificate."""


@dataclass
class Tree:
    """Who is above whom, and how each signs."""

    above: Mapping[str, str | None]
    keys: dict[str, SigningKey] = field(default_factory=dict)
    readers: dict[str, MayRead] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys |= {name: SigningKey.generate() for name in self.above if name not in self.keys}


@dataclass(frozen=True)
class FixedFamily:
    """A `sync.family.Family` that never changes."""

    name: str
    tree: Tree

    def keys(self, home: str) -> tuple[PublicKey, ...]:
        return (self.tree.keys[home].public,) if home in self.tree.keys else ()

    def subtree(self, site: str) -> frozenset[str]:
        below = {site}
        while more := {name for name, above in self.tree.above.items() if above in below} - below:
            below |= more
        return frozenset(below)

    def may_read(self, site: str, stream: Stream) -> MayRead | None:
        return self.tree.readers.get(site)

    async def learn(self, stream: Stream, changes: Sequence[Change]) -> None:
        pass


@dataclass(frozen=True)
class FixedBelonging:
    """A `sync.belonging.Belonging` of such a tree."""

    name: str
    tree: Tree
    upstream: str | None = None

    @property
    def key(self) -> SigningKey:
        return self.tree.keys[self.name]

    def family(self, journal: Journal) -> FixedFamily:
        return FixedFamily(self.name, self.tree)

    def session(self, site: str | None = None) -> aiohttp.ClientSession:
        headers = {"Accept-Encoding": "identity", SITE: self.name}
        return aiohttp.ClientSession(auto_decompress=False, headers=headers)

    def peer(self, request: web.Request) -> str | None:
        return request.headers.get(SITE)


class Kin:
    """Running sites by name; each but the centre at the end of a line that can be cut."""

    def __init__(self, folder: Path, tree: Tree, stack: AsyncExitStack, feed: Mapping[str, Any]) -> None:
        self.tree = tree
        self.lines: dict[str, Link] = {}
        self._folder = folder
        self._stack = stack
        self._feed = feed
        self._sites: dict[str, Api] = {}
        self._running: dict[str, AsyncExitStack] = {}
        self._urls: dict[str, str] = {}

    def __getitem__(self, name: str) -> Api:
        return self._sites[name]

    def folder(self, name: str) -> Path:
        """Where a site keeps its state."""
        return self._folder / name

    async def start(self, name: str) -> Api:
        """Start a site whose upstream has been started before, on the port that it had."""
        above = self.tree.above[name]
        if above is not None and name not in self.lines:
            line, url = await self._stack.enter_async_context(line_to(self._sites[above].url))
            self.lines[name], self._urls[name] = line, url
        upstream = self._urls.get(name)
        sections: dict[str, Mapping[str, Any]] = {
            "upstream": {"timeout": 0.4, "stall": 2},
            "feed": self._feed,
        }
        config = settings(self.folder(name), **sections, **self._port(name))
        running_ = self._running[name] = await self._stack.enter_async_context(AsyncExitStack())
        belonging = FixedBelonging(name, self.tree, upstream)
        site = await running_.enter_async_context(running(config, None, belonging))
        self._sites[name] = site
        return site

    async def stop(self, name: str) -> None:
        """Stop a site in order."""
        await self._running[name].aclose()

    def _port(self, name: str) -> dict[str, dict[str, str]]:
        if name not in self._sites:
            return {}
        return {"api": {"listen": self._sites[name].url.removeprefix("http://")}}


@asynccontextmanager
async def kin(folder: Path, above: Mapping[str, str | None], **feed: Any) -> AsyncIterator[Kin]:
    """A tree of running sites; `above` names the upstream of each, the centre first; `feed` is for [feed]."""
    async with AsyncExitStack() as stack:
        result = Kin(folder, Tree(above), stack, {"silent_after": "1h", **feed})
        for name in above:
            await result.start(name)
        yield result
