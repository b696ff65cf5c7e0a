"""An edge makes itself what its placements say, and keeps itself so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skerry.core.copy import Copy, CopyState
from skerry.core.errors import Conflict
from skerry.core.placement.document import parse
from skerry.core.placement.plan import Obstacle
from skerry.core.placement.rule import ranked
from skerry.core.placement.sites import Site
from skerry.sync.directions import Directions
from skerry.sync.planning import Planning
from skerry.sync.reconciler import Reconciler
from skerry.transfer.cache import Cache
from tests.functional.sites import Api, eventually, noise, running, settings
from tests.simulators.upstream import Upstream

SIZE = 100_000


class Orders:
    """Directions that a test gives."""

    def __init__(self) -> None:
        self.version: object = 0
        self._directions = Directions((), ())

    async def read(self) -> Directions:
        return self._directions

    def give(self, *placements: dict[str, Any], labels: dict[str, str] | None = None) -> None:
        rules = [{"images": "all", "sites": "all", "mode": "mirror", **rule} for rule in placements]
        self._directions = Directions(
            ranked(parse({"placements": rules})), (Site("local", labels or {}), Site("elsewhere"))
        )
        self.version = object()


@dataclass
class Edge:
    """An edge with a reconciler that a test runs by hand, or lets run."""

    api: Api
    upstream: Upstream
    orders: Orders
    reconciler: Reconciler

    async def learn(self) -> None:
        """Know what upstream has."""
        assert (await self.api.call("GET", "/v2/images"))[0] == 200

    async def settle(self) -> None:
        """Reconcile until there is nothing left to do."""
        await self.learn()
        async with asyncio.timeout(20):
            while (await self.reconciler.reconcile()).actions:  # noqa: ASYNC110  (what is fetched takes time)
                await asyncio.sleep(0.01)

    @property
    def cache(self) -> Cache:
        assert self.api.site.edge is not None
        return self.api.site.edge.cache

    def copies(self) -> dict[str, Copy]:
        return {copy.image_id: copy for copy in self.api.site.copies.all()}

    def whole(self) -> set[str]:
        return {copy.image_id for copy in self.copies().values() if copy.state is CopyState.COMPLETE}

    def file(self, image_id: str) -> Path:
        return self.api.site.config.images / image_id


@asynccontextmanager
async def edge_with(folder: Path, **cache: Any) -> AsyncIterator[Edge]:
    upstream, orders = Upstream(), Orders()
    async with (
        upstream.listening() as url,
        running(settings(folder, upstream={"url": url, "ttl": 0}, cache=cache)) as api,
    ):
        site = api.site
        assert site.edge is not None
        planning = Planning("local", orders, site.records, site.clock)
        reconciler = Reconciler("local", planning, site.copies, site.store, site.edge.cache, site.clock)
        yield Edge(api, upstream, orders, reconciler)


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with edge_with(tmp_path) as result:
        yield result


async def test_what_is_mirrored_comes_without_being_asked_for_and_what_is_not_does_not(edge: Edge) -> None:
    golden = edge.upstream.add(noise(SIZE), tags=["golden"])
    edge.upstream.add(noise(SIZE))
    edge.orders.give({"name": "golden", "images": {"tag": "golden"}, "pinned": True})

    await edge.settle()

    assert edge.whole() == {golden}
    assert edge.copies()[golden].placed
    assert edge.copies()[golden].mirrored_by == "golden"


async def test_a_copy_deleted_or_cut_by_hand_is_brought_again(edge: Edge) -> None:
    one, other = (edge.upstream.add(noise(SIZE)) for _ in range(2))
    edge.orders.give({"name": "all"})
    await edge.settle()

    edge.file(one).unlink()
    with edge.file(other).open("r+b") as file:
        file.truncate(10)
    await edge.settle()

    assert {edge.file(image).stat().st_size for image in (one, other)} == {SIZE}


async def test_another_placement_takes_the_pin_back_and_drops_what_is_kept_no_longer(edge: Edge) -> None:
    image = edge.upstream.add(noise(SIZE))
    edge.orders.give({"name": "all", "pinned": True, "keep": 0})
    await edge.settle()

    edge.orders.give({"name": "all", "mode": "on-demand"})
    await edge.settle()
    assert image not in edge.copies()

    edge.orders.give({"name": "all"})
    await edge.settle()
    edge.orders.give({"name": "all", "mode": "never"})
    await edge.settle()
    assert image not in edge.copies()
    assert not edge.file(image).exists()


async def test_a_pin_of_a_person_is_left_alone(edge: Edge) -> None:
    image = edge.upstream.add(noise(SIZE))
    await edge.learn()
    assert (await edge.api.call("PUT", f"/skerry/v1/cache/{image}/pin"))[0] == 204
    edge.orders.give({"name": "all", "pinned": True, "keep": 0})
    await edge.settle()
    edge.orders.give()
    await edge.settle()

    assert edge.copies()[image].pinned
    assert edge.whole() == {image}


async def test_a_plan_that_would_delete_too_much_waits_for_a_person(edge: Edge) -> None:
    images = {edge.upstream.add(noise(1000)) for _ in range(8)}
    edge.orders.give({"name": "all", "keep": 0})
    await edge.settle()
    edge.orders.give({"name": "all", "mode": "never"})
    await edge.settle()

    hold = edge.reconciler.plan.hold
    assert hold is not None
    assert edge.whole() == images
    with pytest.raises(Conflict):
        edge.reconciler.approve("0" * 16)

    edge.reconciler.approve(hold.digest)
    await edge.settle()
    assert edge.whole() == set()
    assert edge.reconciler.plan.hold is None


async def test_what_finds_no_room_is_not_begun_and_says_so(tmp_path: Path) -> None:
    async with edge_with(tmp_path, size=2 * SIZE) as edge:
        first = [edge.upstream.add(noise(SIZE), name=f"a-{n}") for n in range(2)]
        edge.orders.give({"name": "a", "images": {"name": "a-*"}, "pinned": True, "priority": 5})
        await edge.settle()
        late = edge.upstream.add(noise(SIZE), name="b")
        edge.orders.give(
            {"name": "a", "images": {"name": "a-*"}, "pinned": True, "priority": 5}, {"name": "b"}
        )
        await edge.learn()
        plan = await edge.reconciler.reconcile()

        assert edge.whole() == set(first)
        assert [(one.image_id, one.obstacle) for one in plan.blocked] == [(late, Obstacle.NO_ROOM)]


async def test_an_image_deleted_upstream_goes_with_its_copy(edge: Edge) -> None:
    image = edge.upstream.add(noise(SIZE))
    edge.orders.give({"name": "all", "pinned": True})
    await edge.settle()
    del edge.upstream.images[image]

    await edge.settle()

    assert edge.copies() == {}


async def test_it_goes_on_by_itself_when_anything_changes(edge: Edge) -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(edge.reconciler.run())
        edge.orders.give({"name": "all"})
        first = edge.upstream.add(noise(SIZE))
        await edge.learn()
        await eventually(lambda: edge.whole() == {first})
        second = edge.upstream.add(noise(SIZE))
        await edge.learn()
        await eventually(lambda: edge.whole() == {first, second})
        edge.orders.give({"name": "all", "mode": "never"})
        await eventually(lambda: edge.whole() == set())
        task.cancel()


async def test_a_client_that_waits_goes_before_what_is_queued(edge: Edge) -> None:
    slow, wanted = edge.upstream.add(noise(1 << 20)), edge.upstream.add(noise(1 << 20))
    edge.orders.give({"name": "slow", "rate": 20_000})
    await edge.learn()
    await edge.reconciler.reconcile()
    await eventually(lambda: len(edge.cache.fetches()) == 2)

    await edge.api.download(wanted)

    await eventually(lambda: edge.whole() == {wanted})
    await edge.api.download(slow)
    await eventually(lambda: edge.whole() == {wanted, slow})


async def test_a_transfer_that_is_paused_waits_and_goes_on_when_told_or_when_a_client_asks(
    edge: Edge,
) -> None:
    one, other = edge.upstream.add(noise(1 << 20)), edge.upstream.add(noise(1 << 20))
    edge.orders.give({"name": "slow", "rate": 20_000})
    await edge.learn()
    await edge.reconciler.reconcile()
    for image in (one, other):
        await edge.cache.pause(image, paused=True)
    assert edge.cache.fetches() == []

    await edge.api.download(one)
    edge.orders.give({"name": "fast"})
    await edge.reconciler.reconcile()
    await eventually(lambda: edge.whole() == {one})
    await edge.cache.pause(other, paused=False)
    await eventually(lambda: edge.whole() == {one, other})
