"""Many sites at once: what the upstream's line carries, and how long it takes."""

import pytest

from skerry.core.swarm.source import Trouble
from tests.unit.swarm.pool import ABOVE, CHUNK, Pool, pool

MB = 1_000_000


def copies(of: Pool, chunks: int) -> float:
    return of.upstream.sent / (chunks * CHUNK)


@pytest.mark.parametrize(
    ("edges", "most", "times"), [(1, 1.0, 1.1), (2, 1.15, 1.3), (4, 1.4, 1.5), (8, 1.5, 2.0)]
)
def test_sites_that_ask_together_cost_the_upstream_about_one_copy(
    edges: int, most: float, times: float
) -> None:
    chunks = 1600
    group = pool(edges, chunks, up=4 * MB, own=4 * MB)
    group.run(300)
    alone = chunks * CHUNK / (4 * MB)
    assert copies(group, chunks) <= most
    assert all(site.here.all() for site in group.sites.values())
    assert max(site.done_at or 999 for site in group.sites.values()) <= times * alone
    assert not any(site.left for site in group.sites.values())


def test_sites_that_cannot_be_reached_all_take_it_from_above() -> None:
    group = pool(3, 300, up=4 * MB, own=0)
    group.run(100)
    assert copies(group, 300) == 3.0


def test_a_sibling_that_lies_costs_a_chunk_and_is_not_asked_again() -> None:
    group = pool(3, 1200, up=2 * MB, own=4 * MB)
    group.sites["edge-1"].giver.lies = True
    group.run(300)
    for name, site in group.sites.items():
        assert site.here.all()
        lies = [trouble for trouble in site.left if trouble[0] == "edge-1"]
        assert len(lies) == (0 if name == "edge-1" else 1)


def test_a_sibling_that_stalls_costs_seconds_more_than_one_that_is_no_source() -> None:
    none, stalled = (pool(3, 1200, up=2 * MB, own=4 * MB) for _ in range(2))
    none.sites["edge-1"].giver.rate = 0
    none.run(300)
    stalled.sites["edge-1"].giver.silent = True
    stalled.run(300)
    assert all(site.here.all() for site in stalled.sites.values())
    assert any(("edge-1", Trouble.SLOW) in site.left for site in stalled.sites.values())
    assert stalled.now - none.now < 2 * stalled.patience


def test_when_the_upstream_is_cut_what_siblings_have_comes_to_its_end() -> None:
    group = pool(2, 600, up=2 * MB, own=4 * MB)
    whole, other = group.sites.values()
    group.run(1)
    assert ABOVE in other.orders
    whole.here[:] = True
    group.upstream.cut = True
    group.run(60)
    assert other.done_at is not None
    assert (ABOVE, Trouble.AWAY) in other.left


def test_one_slow_sibling_does_not_hold_up_the_end() -> None:
    group = pool(3, 1200, up=4 * MB, own=4 * MB)
    group.sites["edge-2"].giver.rate = 0.05 * MB
    group.run(300)
    alone = 1200 * CHUNK / (4 * MB)
    assert max(site.done_at or 999 for site in group.sites.values()) < 2.5 * alone
