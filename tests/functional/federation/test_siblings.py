"""Sites below one upstream that bring an image to each other, over TLS, each at the end of a thin line."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from skerry.core.copy import CopyState
from skerry.lab.link import Link
from skerry.lab.shape import Shape
from skerry.core.units import Rate
from tests.functional.federation.cast import LISTEN, centre, invite, join, member, sites_url
from tests.functional.people import Peopled
from tests.functional.sites import Api, eventually, noise, settings
from tests.functional.test_feed import arrives

MB = 1_000_000


@dataclass
class Region:
    """An upstream and the sites below it by name, each at the end of a line."""

    top: Peopled
    below: dict[str, Api] = field(default_factory=dict)
    lines: dict[str, Link] = field(default_factory=dict)

    def brought(self, site: str) -> tuple[int, int]:
        """(bytes of images from upstream, from siblings)."""
        edge = self.below[site].site.edge
        assert edge is not None
        return edge.upstream.received, edge.cache.siblings.received

    @property
    def carried(self) -> int:
        """Bytes of images that the lines of the upstream have carried."""
        return sum(self.brought(site)[0] for site in self.below)


@asynccontextmanager
async def line(url: str, rate: int) -> AsyncIterator[tuple[Link, str]]:
    target = urlsplit(url)
    link = Link((str(target.hostname), int(target.port or 0)))
    link.reshape(Shape(rate=Rate(rate * 8)))
    async with link.listening() as port:
        yield link, f"https://127.0.0.1:{port}"


@asynccontextmanager
async def region(
    folder: Path, names: Sequence[str], *, rate: int = 4 * MB, **sections: Mapping[str, Any]
) -> AsyncIterator[Region]:
    """The centre and sites below it, all of which listen to others."""
    async with AsyncExitStack() as stack:
        result = Region(await stack.enter_async_context(centre(folder / "central")))
        for name in names:
            link, url = await stack.enter_async_context(line(sites_url(result.top), rate))
            config = settings(folder / name, sites=LISTEN, **sections)
            await join(config, url, await invite(result.top, name))
            site = await stack.enter_async_context(member(config))
            result.below[name], result.lines[name] = site, link
        for site in result.below.values():
            assert site.site.renewal is not None
            await eventually(lambda: _knows(site, names))  # noqa: B023
            await site.site.renewal.tend()
        for site in result.below.values():
            await eventually(lambda: _reach(site, names))  # noqa: B023
        yield result


def _knows(site: Api, names: Sequence[str]) -> bool:
    assert site.site.federation is not None
    return set(names) <= site.site.federation.sites.all().keys()


def _reach(site: Api, names: Sequence[str]) -> bool:
    assert site.site.federation is not None
    return all(site.site.federation.sites.get(name).url for name in names)


async def upload(at: Peopled, data: bytes) -> str:
    """An image that is whole and has its index."""
    image = await at.admin.create(disk_format="raw", container_format="bare", visibility="public")
    headers = {"Content-Type": "application/octet-stream"}
    answer = await at.admin.send("PUT", f"/v2/images/{image['id']}/file", data=BytesIO(data), headers=headers)
    assert answer.status == 204
    await eventually(lambda: at.site.chunks.name_of(image["id"]) is not None)
    return str(image["id"])


async def bring(site: Api, image_id: str) -> None:
    """Have it fetched, and wait for it."""
    await arrives(site, image_id, status="active")
    assert site.site.edge is not None
    await site.site.edge.cache.queue(image_id)
    async with asyncio.timeout(60):
        while not is_whole(site, image_id):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def is_whole(site: Api, image_id: str) -> bool:
    copy = site.site.copies.get(image_id)
    return copy is not None and copy.state is CopyState.COMPLETE


async def test_four_sites_that_ask_at_once_cost_the_upstream_about_one_copy(tmp_path: Path) -> None:
    names = ["lyon", "metz", "nice", "brest"]
    data = noise(12 * MB)
    async with region(tmp_path, names, rate=1 * MB) as group:
        image_id = await upload(group.top, data)
        await asyncio.gather(*(bring(site, image_id) for site in group.below.values()))
        print({name: group.brought(name) for name in names}, group.carried / len(data))
        assert group.carried < 1.6 * len(data)
        for site in group.below.values():
            assert await site.download(image_id) == data
