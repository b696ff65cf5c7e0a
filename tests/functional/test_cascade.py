"""A tree of sites: a centre, a region that lives from it, and edges that live from the region."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from skerry.config import Config
from skerry.lab.link import Link
from skerry.upstream import catalogue
from tests.functional.sites import Api, Counter, eventually, line_to, noise, running, settings
from tests.simulators.clock import ManualClock

TTL = 60


@dataclass
class Tree:
    """`above` is the line between centre and region, `below` that between region and edge, counted each."""

    centre: Api
    region: Api
    edge: Api
    other: Api
    above: Link
    below: Link
    to_centre: Counter
    to_region: Counter
    clock: ManualClock

    def pass_ttl(self) -> None:
        """Let all that is known anywhere grow older than its TTL."""
        self.clock.forward(TTL + 1)

    def take(self) -> tuple[list[str], list[str]]:
        """What the centre and the region were asked since the last call, but for members."""
        asked = (self.to_centre.take(), self.to_region.take())
        upper, lower = ([one for one in some if not one.endswith("/members")] for some in asked)
        return upper, lower


@pytest.fixture
async def tree(tmp_path: Path) -> AsyncIterator[Tree]:
    clock = ManualClock()

    def below(url: str, name: str) -> Config:
        upstream = {"url": url, "ttl": TTL, "timeout": 0.4, "stall": 1, "max_stale": "1h"}
        return settings(tmp_path / name, upstream=upstream)

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        centre = await enter(running(settings(tmp_path / "centre")))
        to_centre = Counter(centre.url)
        above, url = await enter(line_to(await enter(to_centre.listening())))
        region = await enter(running(below(url, "region"), clock))
        to_region = Counter(region.url)
        lower, url = await enter(line_to(await enter(to_region.listening())))
        edge = await enter(running(below(url, "edge"), clock))
        other = await enter(running(below(region.url, "other"), clock))
        tree = Tree(centre, region, edge, other, above, lower, to_centre, to_region, clock)
        tree.take()
        tree.pass_ttl()  # to start, edges have asked for a list
        yield tree


def names(answer: tuple[int, object, dict[str, list[dict[str, str]]]]) -> list[str]:
    assert answer[0] == 200
    return sorted(image["name"] for image in answer[2]["images"])


def has_only(site: Api, image_id: str) -> bool:
    return list(site.site.store.ids()) == [image_id]


async def test_a_record_and_its_bytes_are_asked_for_once_at_each_level(tree: Tree) -> None:
    data = noise(300_000)
    image = await tree.centre.create(data)
    assert await tree.edge.download(image["id"]) == data
    asked = [f"GET /v2/images/{image['id']}", f"GET /v2/images/{image['id']}/file"]
    assert tree.take() == (asked, asked)
    assert await tree.edge.download(image["id"]) == data
    assert await tree.other.download(image["id"]) == data
    assert tree.take() == ([], [])  # the other edge is not counted, and the region had it all
    for site in (tree.region, tree.edge, tree.other):
        await eventually(partial(has_only, site, image["id"]))


async def test_an_unchanged_list_costs_one_small_request_at_each_level(tree: Tree) -> None:
    for name in ("a", "b"):
        await tree.centre.create(name=name, visibility="public")
    await tree.edge.call("GET", "/v2/images")
    tree.take()
    tree.pass_ttl()
    assert names(await tree.edge.call("GET", "/v2/images")) == ["a", "b"]
    assert tree.take() == (["GET /v2/images"], ["GET /v2/images"])
    tree.pass_ttl()
    await tree.centre.create(name="c", visibility="public")
    assert names(await tree.edge.call("GET", "/v2/images")) == ["a", "b", "c"]


async def test_a_list_of_an_edge_has_an_etag_that_holds_as_long_as_nothing_changes(tree: Tree) -> None:
    await tree.centre.create(name="a", visibility="public")
    _, headers, _ = await tree.region.call("GET", "/v2/images")
    known = {"If-None-Match": headers["ETag"]}
    assert (await tree.region.call("GET", "/v2/images", headers=known))[0] == 304
    await tree.centre.create(name="b", visibility="public")
    assert (await tree.region.call("GET", "/v2/images", headers=known))[0] == 304  # by TTL
    tree.pass_ttl()
    status, headers, _ = await tree.region.call("GET", "/v2/images", headers=known)
    assert (status, headers["ETag"] == known["If-None-Match"]) == (200, False)


async def test_a_new_name_is_found_through_two_levels_within_the_ttl(tree: Tree) -> None:
    await tree.edge.call("GET", "/v2/images")
    await tree.centre.create(name="new")
    assert names(await tree.edge.call("GET", "/v2/images?name=new")) == ["new"]


async def test_changes_deletes_and_deactivations_reach_the_leaves(tree: Tree) -> None:
    renamed, deactivated, deleted = [await tree.centre.create(noise(1000)) for _ in range(3)]
    for image in (renamed, deactivated, deleted):
        await tree.edge.download(image["id"])
    assert await tree.centre.patch(renamed["id"], {"op": "replace", "path": "/name", "value": "new"}) == 200
    assert (await tree.centre.call("POST", f"/v2/images/{deactivated['id']}/actions/deactivate"))[0] == 204
    assert (await tree.centre.call("DELETE", f"/v2/images/{deleted['id']}"))[0] == 204
    tree.pass_ttl()
    assert names(await tree.edge.call("GET", "/v2/images")) == ["new", "one"]
    assert (await tree.edge.show(renamed["id"]))["name"] == "new"
    assert (await tree.edge.show(deactivated["id"]))["status"] == "deactivated"
    assert (await tree.edge.call("GET", f"/v2/images/{deleted['id']}/file"))[0] == 404
    for site in (tree.region, tree.edge):
        assert site.site.edge is not None
        await site.site.edge.cache.sweep()
        assert deleted["id"] not in set(site.site.store.ids())


async def test_bytes_reach_a_client_of_the_leaf_while_they_arrive_at_the_region(tree: Tree) -> None:
    data = noise(24 << 20)
    image = await tree.centre.create(data)
    await tree.edge.show(image["id"])
    async with tree.edge.session.get(f"{tree.edge.url}/v2/images/{image['id']}/file") as response:
        first = await response.content.readexactly(1 << 16)
        tree.above.cut()
        assert list(tree.region.site.store.ids()) == []  # it is not whole anywhere but at its home
        tree.above.restore()
        assert first + await response.read() == data
    await eventually(partial(has_only, tree.edge, image["id"]))


async def test_a_transfer_outlasts_a_cut_above_the_region_and_its_client_too(tree: Tree) -> None:
    data = noise(24 << 20)
    image = await tree.centre.create(data)
    await tree.edge.show(image["id"])
    async with tree.edge.session.get(f"{tree.edge.url}/v2/images/{image['id']}/file") as response:
        first = await response.content.readexactly(1 << 16)
        tree.above.cut()
        assert tree.region.site.edge is not None
        await eventually(lambda: not tree.region.site.edge.link.connected)  # type: ignore[union-attr]
        # The edge gives up waiting for the region's stream, asks for the rest, and is told to wait.
        await eventually(lambda: tree.to_region.requests.count(f"GET /v2/images/{image['id']}/file") > 1)
        assert tree.edge.site.edge is not None
        assert tree.edge.site.edge.link.connected
        tree.above.restore()
        assert first + await response.read() == data
    await eventually(partial(has_only, tree.edge, image["id"]))


async def test_edges_below_a_region_that_is_cut_off_go_on_and_say_how_old_their_knowledge_is(
    tree: Tree,
) -> None:
    data = noise(1000)
    image = await tree.centre.create(data, name="kept")
    await tree.edge.download(image["id"])
    await tree.edge.call("GET", "/v2/images")
    began = tree.clock.now()
    tree.above.cut()
    tree.pass_ttl()
    await tree.region.show(image["id"])  # finds out
    assert await tree.edge.download(image["id"]) == data
    assert await tree.other.download(image["id"]) == data  # has never heard of it: the region has it all
    for path in (f"/v2/images/{image['id']}", "/v2/images"):
        _, at_region, _ = await tree.region.call("GET", path)
        _, at_edge, _ = await tree.edge.call("GET", path)
        as_of = f"as-of={began:%Y-%m-%dT%H:%M:%SZ}; "
        assert at_region["Skerry-Stale"].startswith(as_of)
        assert at_edge["Skerry-Stale"].startswith(as_of)
    tree.take()
    await tree.edge.show(image["id"])
    await tree.edge.call("GET", "/v2/images")
    assert tree.take() == ([], [])  # what the region said of its knowledge holds for the TTL, too

    status, headers, _ = await tree.edge.call("GET", "/v2/images/6e3b2f0a-0000-4000-8000-000000000000")
    assert (status, "Retry-After" in headers) == (503, True)
    assert (await tree.edge.call("POST", "/v2/images", json={"name": "x"}))[0] == 503

    tree.above.restore()
    assert tree.region.site.edge is not None
    await tree.region.site.edge.link.wait_connected()
    tree.pass_ttl()
    for path in (f"/v2/images/{image['id']}", "/v2/images"):
        assert "Skerry-Stale" not in (await tree.edge.call("GET", path))[1]


async def test_what_a_cut_off_region_says_is_used_until_max_stale_and_not_longer(tree: Tree) -> None:
    image = await tree.centre.create(noise(100))
    await tree.region.show(image["id"])
    tree.above.cut()
    tree.clock.forward(3000)
    assert (await tree.edge.show(image["id"]))["id"] == image["id"]
    tree.below.cut()
    tree.clock.forward(601)
    assert (await tree.edge.call("GET", f"/v2/images/{image['id']}"))[0] == 503


async def test_a_region_that_is_slow_because_it_is_cut_off_is_not_taken_for_a_cut_line(tree: Tree) -> None:
    image = await tree.centre.create(noise(100))
    await tree.edge.show(image["id"])
    tree.pass_ttl()
    tree.above.cut()
    await asyncio.gather(*(tree.edge.show(image["id"]) for _ in range(3)))
    assert tree.edge.site.edge is not None
    assert tree.region.site.edge is not None
    await eventually(lambda: not tree.region.site.edge.link.connected)  # type: ignore[union-attr]
    assert tree.edge.site.edge.link.connected


async def test_writes_go_through_two_levels_and_are_seen_at_once(tree: Tree) -> None:
    data = noise(500_000)
    image = await tree.edge.create(data, name="made at the edge")
    assert await tree.centre.show(image["id"]) == await tree.region.show(image["id"]) == image
    assert await tree.edge.patch(image["id"], {"op": "replace", "path": "/name", "value": "new"}) == 200
    assert (
        (await tree.edge.show(image["id"]))["name"] == (await tree.region.show(image["id"]))["name"] == "new"
    )
    assert await tree.edge.download(image["id"]) == data
    assert (await tree.edge.call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
    for site in (tree.edge, tree.region, tree.centre):
        assert (await site.call("GET", f"/v2/images/{image['id']}"))[0] == 404


async def test_a_resumable_upload_goes_through_two_levels(tree: Tree) -> None:
    data = noise(300_000)
    image = await tree.edge.create()
    path = f"/skerry/v1/images/{image['id']}/upload"
    for offset, part, complete in ((0, data[:100_000], "?0"), (100_000, data[100_000:], "?1")):
        status, headers, _ = await tree.edge.call("HEAD", path)
        assert (status, headers["Upload-Offset"]) == (204, str(offset))
        piece = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(offset),
            "Upload-Complete": complete,
        }
        assert (await tree.edge.call("PATCH", path, data=part, headers=piece))[0] < 300
    assert await tree.centre.download(image["id"]) == await tree.edge.download(image["id"]) == data


async def test_bytes_are_verified_at_each_level(tree: Tree) -> None:
    data = noise(300_000)
    image = await tree.centre.create(data)
    assert await tree.region.download(image["id"]) == data
    await eventually(partial(has_only, tree.region, image["id"]))
    kept = tree.region.site.store.path(image["id"])
    kept.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # a disk that lies
    with pytest.raises(aiohttp.ClientPayloadError):
        await tree.edge.call("GET", f"/v2/images/{image['id']}/file")
    assert list(tree.edge.site.store.ids()) == []
    kept.write_bytes(data)
    assert tree.edge.site.edge is not None
    await eventually(lambda: not tree.edge.site.edge.cache.fetches())  # type: ignore[union-attr]
    assert await tree.edge.download(image["id"]) == data


async def test_members_that_a_list_does_not_cover_are_read_again_though_it_is_unchanged(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_MEMBERS_AT_A_TIME", 1)
    images = [await tree.centre.create(name=name) for name in ("a", "b")]
    members = {f"GET /v2/images/{image['id']}/members" for image in images}
    await tree.region.call("GET", "/v2/images")
    await eventually(lambda: members <= set(tree.to_centre.requests))
    tree.pass_ttl()
    await tree.centre.create(name="c", visibility="public")
    tree.to_centre.take()
    await tree.region.call("GET", "/v2/images")
    await eventually(lambda: members & set(tree.to_centre.requests))  # one of them, in the background
    tree.pass_ttl()
    await tree.region.call("GET", "/v2/images")  # as it was
    await eventually(lambda: members <= set(tree.to_centre.requests))
