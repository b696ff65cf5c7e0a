"""The example files do what their comments say."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from skerry.core.image import Image, Visibility
from skerry.core.placement.actions import Fetch, Repair
from skerry.core.placement.document import dump, parse
from skerry.core.placement.observed import Capacity, Held, Observed, PinnedBy
from skerry.core.placement.planner import Planner
from skerry.core.placement.reconcile import reconcile
from skerry.core.placement.rule import Mode
from skerry.core.placement.sites import Site
from skerry.core.placement.wish import PROPERTY
from tests.unit.placement.stage import NOW, apply, identity, image

FOLDER = Path(__file__).parents[3] / "examples" / "placements"
FILES = sorted(path.name for path in FOLDER.glob("*.yaml"))
HOUR, GIB = 3600.0, 1 << 30


def example(file: str, images: list[Image], *sites: Site, now: float = NOW) -> Planner:
    return Planner(parse(yaml.safe_load((FOLDER / file).read_text())), sites, images, now)


def modes(planner: Planner, site: str) -> dict[int, Mode]:
    return {int(image_id[-4:], 16): desire.mode for image_id, desire in planner.for_site(site)}


MIRROR, ON_DEMAND, NEVER = Mode.MIRROR, Mode.ON_DEMAND, Mode.NEVER


def test_there_is_one_file_for_each_of_the_five_strategies() -> None:
    assert [file[:2] for file in FILES] == ["1-", "2-", "3-", "4-", "5-"]


@pytest.mark.parametrize("file", FILES)
def test_an_example_that_is_read_written_and_read_again_is_the_same(file: str) -> None:
    placements = parse(yaml.safe_load((FOLDER / file).read_text()))
    assert parse(yaml.safe_load(yaml.safe_dump(dump(placements)))) == placements


def test_every_image_everywhere_but_for_snapshots() -> None:
    images = [
        image(1),
        image(2, visibility=Visibility.PRIVATE),
        image(3, properties={"image_type": "snapshot"}),
    ]
    planner = example("1-everywhere.yaml", images, Site("lyon"), Site("brest"))
    for site in ("lyon", "brest"):
        assert modes(planner, site) == {1: MIRROR, 2: MIRROR, 3: ON_DEMAND}
    wanted = planner.wanted("lyon", [])
    plan = reconcile(Site("lyon"), wanted, [], Capacity(100), NOW)
    assert {action.image_id for action in plan.actions} == {identity(1), identity(2)}


def test_images_only_where_they_are_needed() -> None:
    lyon = Site("lyon-1", {"role": "edge", "country": "fr"})
    gpu = Site("gpu-1", {"role": "edge", "gpu": "yes"})
    centre = Site("centre", {"role": "centre"})
    images = [
        image(1, properties={PROPERTY: "lyon-1"}),
        image(2, properties={PROPERTY: "country=fr"}, visibility=Visibility.PRIVATE),
        image(3, properties={PROPERTY: "lyon-1,gpu-1"}, size=21 * GIB),
        image(4, properties={"hw_gpu": "a100"}),
        image(5),
    ]
    planner = example("2-where-needed.yaml", images, lyon, gpu, centre)
    assert modes(planner, "lyon-1") == {1: MIRROR, 2: NEVER, 3: NEVER, 4: NEVER, 5: NEVER}
    assert modes(planner, "gpu-1") == {1: NEVER, 2: NEVER, 3: NEVER, 4: MIRROR, 5: NEVER}
    assert set(modes(planner, "centre").values()) == {ON_DEMAND}


def test_images_by_policy() -> None:
    sites = [
        Site("paris", {"role": "region", "country": "fr"}),
        Site("near", {"role": "edge", "line": "thick", "country": "fr"}),
        Site("far", {"role": "edge", "line": "thin", "country": "de"}),
    ]
    debian = {"os_distro": "debian", "os_version": "12"}
    images = [
        image(1, properties=debian, days=3),
        image(2, properties=debian, days=2),
        image(3, properties=debian, days=1),
        image(4, properties={"os_distro": "windows", "os_version": "11", "licence": "fr-only"}),
        image(5, properties={"os_distro": "big", "os_version": "1"}, size=6 * GIB),
        image(6, visibility=Visibility.PRIVATE, properties=debian),
    ]
    planner = example("3-by-policy.yaml", images, *sites)
    assert modes(planner, "paris") == dict.fromkeys(range(1, 6), MIRROR) | {6: ON_DEMAND}
    assert modes(planner, "near") == {
        1: ON_DEMAND, 2: MIRROR, 3: MIRROR, 4: MIRROR, 5: MIRROR, 6: ON_DEMAND,
    }  # fmt: skip
    assert modes(planner, "far") == {
        1: ON_DEMAND, 2: ON_DEMAND, 3: MIRROR, 4: NEVER, 5: ON_DEMAND, 6: ON_DEMAND,
    }  # fmt: skip
    (fetch,) = reconcile(sites[2], planner.wanted("far", []), [], Capacity(100), NOW).actions
    assert isinstance(fetch, Fetch)
    assert (fetch.image_id, fetch.rate, fetch.not_before) == (identity(3), 1 << 20, NOW + 9 * HOUR)


def test_images_pulled_on_demand() -> None:
    cabinet, large = Site("road-7", {"kind": "cabinet"}), Site("lyon", {"kind": "large"})
    images = [image(1), image(2, tags=["rescue"]), image(3, size=10 * GIB)]
    planner = example("4-on-demand.yaml", images, cabinet, large)
    assert modes(planner, "road-7") == {1: ON_DEMAND, 2: ON_DEMAND, 3: NEVER}
    assert modes(planner, "lyon") == {1: ON_DEMAND, 2: ON_DEMAND, 3: ON_DEMAND}
    desire = planner.desire(identity(1), "lyon")
    assert desire is not None
    assert desire.store == "fast"
    assert reconcile(cabinet, planner.wanted("road-7", []), [], Capacity(100), NOW).actions == ()
    here = [Observed(identity(2), Held.COMPLETE, 10)]
    wanted = planner.wanted("road-7", [identity(2)])
    here = apply(reconcile(cabinet, wanted, here, Capacity(100), NOW), wanted, here, NOW)
    assert here[0].pinned_by is PinnedBy.RULE


def test_made_sure_that_it_is_there_whatever_happens_to_the_copies() -> None:
    golden = {"tags": ["golden"], "owner": "images"}
    images = [
        image(1, "debian-12-1", days=9, **golden),
        image(2, "debian-12-2", days=2, **golden),
        image(3, "debian-12-3", days=1, **golden),
        image(4, "debian-12-4", tags=["golden"], owner="mallory", days=1),
    ]
    site = Site("lyon", {"stage": "production"})
    planner = example("5-make-sure.yaml", images, site)
    assert modes(planner, "lyon") == {1: ON_DEMAND, 2: MIRROR, 3: MIRROR, 4: ON_DEMAND}
    wanted = planner.wanted("lyon", [])
    room = Capacity(20)
    here = apply(reconcile(site, wanted, [], room, NOW), wanted, [], NOW)
    assert {copy.pinned_by for copy in here} == {PinnedBy.RULE}
    deleted = reconcile(site, wanted, [copy for copy in here if copy.image_id == identity(2)], room, NOW)
    assert [action.image_id for action in deleted.actions] == [identity(3)]
    bad = reconcile(site, wanted, [replace(copy, state=Held.BAD) for copy in here], room, NOW)
    assert [type(action) for action in bad.actions] == [Repair, Repair]
    half = reconcile(site, wanted, [replace(copy, state=Held.PARTIAL) for copy in here], room, NOW)
    assert [type(action) for action in half.actions] == [Fetch, Fetch]


def test_a_build_that_is_fresh_waits_an_hour_in_production() -> None:
    fresh = image(1, "debian-12-1", tags=["golden"], owner="images")
    production, lab = Site("lyon", {"stage": "production"}), Site("lab")
    planner = example("5-make-sure.yaml", [fresh], production, lab)
    assert (modes(planner, "lyon"), modes(planner, "lab")) == ({1: ON_DEMAND}, {1: MIRROR})
    assert planner.next_change() == NOW + HOUR
    planner.advance(NOW + HOUR)
    assert modes(planner, "lyon") == {1: MIRROR}
