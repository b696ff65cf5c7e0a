"""Sites below one upstream that bring an image to each other, over TLS, each at the end of a thin line."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from skerry.chunking.pack_stream import Order
from skerry.core.copy import CopyState
from skerry.core.errors import Busy
from skerry.core.units import Rate
from skerry.lab.link import Link
from skerry.lab.shape import Shape
from skerry.transfer.siblings import Place
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
    folder: Path,
    names: Sequence[str],
    *,
    rate: int = 4 * MB,
    shared: bool = False,
    **sections: Mapping[str, Any],
) -> AsyncIterator[Region]:
    """The centre and sites below it, all of which listen to others; each has a line, or all share one."""
    async with AsyncExitStack() as stack:
        result = Region(await stack.enter_async_context(centre(folder / "central")))
        for name in names:
            if not shared or not result.lines:
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
    async with region(tmp_path, names, rate=2 * MB, shared=True) as group:
        image_id = await upload(group.top, data)
        await asyncio.gather(*(bring(site, image_id) for site in group.below.values()))
        assert group.carried < 1.4 * len(data), {name: group.brought(name) for name in names}
        for site in group.below.values():
            assert await site.download(image_id) == data


async def test_a_region_is_asked_for_what_it_does_not_have_yet_and_fetches_it_once(tmp_path: Path) -> None:
    data = noise(6 * MB)
    async with region(tmp_path, ["paris"], rate=1 * MB) as group:
        paris = group.below["paris"]
        async with AsyncExitStack() as stack:
            edges = []
            for name in ("lyon", "metz"):
                config = settings(tmp_path / name, sites=LISTEN)
                token = await invite(group.top, name, upstream="paris")
                await eventually(lambda: _knows(paris, [name]))  # noqa: B023
                await join(config, _url(paris), token)
                edges.append(await stack.enter_async_context(member(config)))
            image_id = await upload(group.top, data)
            await asyncio.gather(*(bring(edge, image_id) for edge in edges))
            assert await edges[0].download(image_id) == data
            assert group.carried < 1.1 * len(data)
            for edge in edges:
                assert edge.site.chunks.name_of(image_id), "it came by its chunks"


async def test_a_sibling_that_lies_is_left_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = noise(6 * MB)
    async with region(tmp_path, ["lyon", "metz", "nice"], rate=1 * MB) as group:
        image_id = await upload(group.top, data)
        await asyncio.gather(*(bring(group.below[name], image_id) for name in ("lyon", "metz")))
        maker = group.below["lyon"].site.chunks.maker
        honest = maker._make
        maker._make = lambda *of: _spoilt(honest(*of))  # type: ignore[method-assign]
        await bring(group.below["nice"], image_id)
        assert await group.below["nice"].download(image_id) == data
        assert group.brought("nice")[1] > 0
    assert re.search(rf"{image_id}: site lyon is left for \d+ s as it is lying", caplog.text)
    assert "site metz is left" not in caplog.text


async def test_a_sibling_that_stalls_is_left_within_seconds_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = noise(6 * MB)
    async with region(tmp_path, ["lyon", "nice"], rate=1 * MB) as group:
        image_id = await upload(group.top, data)
        await bring(group.below["lyon"], image_id)
        stuck = asyncio.Event()
        group.below["lyon"].site.egress.passed = lambda count: stuck.wait()  # type: ignore[assignment,method-assign,return-value]
        await bring(group.below["nice"], image_id)
        stuck.set()
        assert await group.below["nice"].download(image_id) == data
    assert re.search(rf"{image_id}: site lyon is left for \d+ s as it is slow", caplog.text)


async def test_an_image_comes_to_its_end_by_a_sibling_when_the_upstream_is_cut_off(tmp_path: Path) -> None:
    data = noise(6 * MB)
    patient, egress = {"timeout": 0.5, "stall": 2}, {"egress": "1MB"}
    async with region(tmp_path, ["lyon", "nice"], rate=1 * MB, upstream=patient, transfer=egress) as group:
        image_id = await upload(group.top, data)
        lyon, nice = group.below["lyon"], group.below["nice"]
        await bring(lyon, image_id)
        fetching = asyncio.create_task(bring(nice, image_id))
        await eventually(lambda: group.brought("nice")[1] > 0)
        group.lines["nice"].cut()
        await fetching
        assert nice.site.edge is not None
        assert await nice.download(image_id) == data
        assert sum(group.brought("nice")) < 1.2 * len(data)


async def test_an_upstream_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    data = noise(2 * MB)
    async with region(tmp_path, ["lyon"]) as group:
        image_id = await upload(group.top, data)
        maker, asked = group.top.site.chunks.maker, 0
        honest = maker.packs

        def packs(image: str, order: Order) -> Any:
            nonlocal asked
            asked += 1
            if asked <= 2:
                raise Busy("Too much to do.", retry_after=1)
            return honest(image, order)

        maker.packs = packs  # type: ignore[method-assign, assignment]
        await bring(group.below["lyon"], image_id)
        assert asked > 2
        assert await group.below["lyon"].download(image_id) == data


async def test_what_comes_from_whom_is_shown_and_counted(tmp_path: Path) -> None:
    data = noise(6 * MB)
    async with region(tmp_path, ["lyon", "nice"], rate=1 * MB, transfer={"egress": "500kB"}) as group:
        image_id = await upload(group.top, data)
        lyon, nice = group.below["lyon"], group.below["nice"]
        await bring(lyon, image_id)
        fetching = asyncio.create_task(bring(nice, image_id))
        await eventually(lambda: group.brought("nice")[1] > 0)
        (transfer,) = (await nice.call("GET", "/skerry/v1/transfers"))[2]["transfers"]
        assert transfer["sources"]["lyon"] > 0
        fetching.cancel()
        metrics = (await nice.call("GET", "/metrics"))[2].decode()
        assert float(re.search(r"^skerry_sibling_bytes_total (\S+)", metrics, re.M)[1]) > 0  # type: ignore[index]
        metrics = (await lyon.call("GET", "/metrics"))[2].decode()
        assert float(re.search(r"^skerry_egress_bytes_total (\S+)", metrics, re.M)[1]) > 0  # type: ignore[index]


async def test_a_site_that_may_not_read_an_image_is_neither_told_nor_named(tmp_path: Path) -> None:
    async with region(tmp_path, ["lyon", "metz", "nice"]) as group:
        image_id = await upload(group.top, noise(2 * MB))
        for name in ("lyon", "metz"):
            await bring(group.below[name], image_id)
        assert await _told(group, "nice", image_id) == {"lyon", "metz"}
        group.top.site.policy.site_reads = lambda site, image: site != "metz"
        assert await _told(group, "metz", image_id) is None
        assert await _told(group, "nice", image_id) == {"lyon"}


async def test_a_plan_says_how_much_would_come_from_whom(tmp_path: Path) -> None:
    async with region(tmp_path, ["lyon", "nice"]) as group:
        data = noise(2 * MB)
        image_id = await upload(group.top, data)
        assert await _planned(group.below["nice"], image_id) == {"upstream": len(data)}
        await bring(group.below["lyon"], image_id)
        assert await _planned(group.below["nice"], image_id) == {"lyon": len(data), "upstream": 0}
        await bring(group.below["nice"], image_id)
        from_upstream, from_siblings = group.brought("nice")
        assert from_upstream < len(data) / 10 < len(data) <= from_siblings


async def test_a_site_whose_egress_is_nothing_is_not_named_and_gives_nothing(tmp_path: Path) -> None:
    async with region(tmp_path, ["lyon", "nice"], transfer={"egress": 0}) as group:
        image_id = await upload(group.top, noise(2 * MB))
        lyon = group.below["lyon"]
        assert lyon.site.edge is not None
        index = group.top.site.chunks.name_of(image_id)
        assert index
        await lyon.site.edge.cache.siblings.meet(image_id, index)
        assert await _told(group, "nice", image_id) == set()
        await bring(lyon, image_id)
        client = group.below["nice"].site.edge.cache.siblings.images(Place("lyon", _url(lyon)))  # type: ignore[union-attr]
        assert await client.presence(image_id, None, patience=5) is None


async def _told(group: Region, name: str, image_id: str) -> set[str] | None:
    """The siblings that a site hears of; None when it hears nothing at all."""
    edge = group.below[name].site.edge
    index = group.top.site.chunks.name_of(image_id)
    assert edge is not None
    assert index
    body = await edge.upstream.meet(image_id, msgspec.json.encode({"index": index, "gives": False}))
    return None if body is None else {one["name"] for one in msgspec.json.decode(body)["sites"]}


async def _planned(site: Api, image_id: str) -> dict[str, int]:
    """The bytes that each source is to send, as a site's plan says."""
    await arrives(site, image_id, status="active")
    status, _, plan = await site.call("GET", f"/skerry/v1/images/{image_id}/plan")
    assert status == 200
    assert isinstance(plan, dict)
    assert sum(plan["sources"].values()) == plan["missing"]
    return dict(plan["sources"])


def _url(site: Api) -> str:
    assert site.site.federation is not None
    return site.site.federation.url


def _spoilt(pack: bytes) -> bytes:
    middle = len(pack) // 2
    return pack[:middle] + bytes(byte ^ 0xFF for byte in pack[middle : middle + 64]) + pack[middle + 64 :]
