"""Why an image is at a site or not."""

from typing import Any

from skerry.core.image import Image, Status
from skerry.core.placement.explain import Evicted, Fact, Topic, explain
from skerry.core.placement.judgement import judge
from skerry.core.placement.knowledge import Heard, Report
from skerry.core.placement.observed import Capacity, Held, Observed, PinnedBy
from skerry.core.placement.obstacles import no_room
from skerry.core.placement.planner import Planner
from skerry.core.placement.reconcile import reconcile
from skerry.core.placement.sites import Site
from tests.unit.placement.stage import DAY, NOW, identity, image, planner

LYON = Site("lyon", {"tier": "far"})


def facts(found: Planner, one: Image, report: Report | None = None, **more: Any) -> dict[Topic, list[Fact]]:
    copies = [one.id] if report and report.copy else []
    wanted = found.wanted("lyon", copies).get(one.id)
    knowledge = judge(one.id, "lyon", wanted, report, Heard(NOW, 60), NOW)
    listed: dict[Topic, list[Fact]] = {}
    for fact in explain(found, one, LYON, report, knowledge, **more):
        listed.setdefault(fact.topic, []).append(fact)
    return listed


def words(found: dict[Topic, list[Fact]], topic: Topic) -> list[str]:
    return [fact.says for fact in found[topic]]


def test_each_placement_says_its_rank_or_why_it_does_not_select_the_image() -> None:
    one = image(1, "debian-12", days=2)
    entries: list[dict[str, Any]] = [
        {"name": "all"},
        {"name": "first", "priority": 5, "mode": "on-demand"},
        {"name": "named", "images": {"name": "ubuntu-*"}},
        {"name": "paris", "sites": {"name": ["paris", "brest"]}},
        {"name": "wishes", "sites": {"wished": True}},
        {"name": "young", "images": {"age_max": "1d"}},
        {"name": "old", "images": {"age_min": "3d"}},
        {"name": "newest", "images": {"newest": 1}},
    ]
    found = facts(planner(entries, [one, image(2, "debian-13")], [LYON]), one)
    assert words(found, Topic.RULE) == [
        "first says on-demand with priority 5, and decides",
        "all says mirror with priority 0, and is of rank 2",
        "named does not select it: images.name is ubuntu-*",
        "newest does not select it: images.newest is 1",
        "old does not select it: images.age_min is 259200",
        "paris does not select it: sites.name is ['paris', 'brest']",
        "wishes does not select it: its skerry:sites does not ask for this site",
        "young does not select it: images.age_max is 86400",
    ]
    assert words(found, Topic.DESIRE) == ["on-demand, by first"]


def test_a_copy_that_is_there_says_who_pins_it_where_it_came_from_and_that_nothing_is_to_be_done() -> None:
    one = image(1)
    copy = Observed(one.id, Held.COMPLETE, 10, pinned_by=PinnedBy.RULE, since=NOW - 9)
    found = facts(
        planner([{"pinned": True}], [one], [LYON]), one, Report(NOW, copy), source="https://centre.example"
    )
    assert words(found, Topic.PIN) == ["pinned by a placement"]
    assert words(found, Topic.SYNC) == ["verified: it is whole, and was checked when it came"]
    assert words(found, Topic.SOURCE) == ["its bytes come from https://centre.example"]
    assert words(found, Topic.NEXT) == ["nothing"]


def test_an_image_that_is_not_there_says_when_it_went_and_what_comes_next() -> None:
    one = image(1)
    found = planner([{"window": "22:00-06:00", "pinned": True}], [one], [LYON])
    plan = reconcile(LYON, found.wanted("lyon", []), [], Capacity(100), NOW)
    gone = Evicted(NOW - DAY, "its room was needed")
    said = facts(found, one, Report(NOW, step=plan.actions[0]), evicted=gone)
    assert said[Topic.EVICTED] == [Fact(Topic.EVICTED, "its room was needed", NOW - DAY)]
    assert said[Topic.NEXT][0].at == NOW + 10 * 3600
    assert words(said, Topic.NEXT) == ["fetch: rule-0 mirrors it; it waits for 22:00-06:00"]
    assert words(said, Topic.PIN) == ["rule-0 pins it once it is there"]


def test_what_stands_in_the_way_is_said_with_what_would_help() -> None:
    one = image(1)
    found = facts(planner([{}], [one], [LYON]), one, Report(NOW, step=no_room(one.id, 10)))
    assert words(found, Topic.NEXT)[0].startswith("nothing: there is no room for 10 bytes")
    assert "Raise [cache] size" in words(found, Topic.NEXT)[0]


def test_an_ordinary_copy_stays_until_its_room_is_needed_and_one_that_is_kept_until_its_time() -> None:
    one = image(1)
    found = planner([], [one], [LYON])
    ordinary = facts(found, one, Report(NOW, Observed(one.id, Held.COMPLETE, 10)))
    assert words(ordinary, Topic.NEXT) == ["it stays until its room is needed"]
    kept = Observed(one.id, Held.COMPLETE, 10, mirrored_by="a", keep=DAY, unwanted_since=NOW)
    assert facts(found, one, Report(NOW, kept))[Topic.NEXT][0].at == NOW + DAY


def test_an_image_without_data_says_so() -> None:
    one = image(1, status=Status.QUEUED, size=None)
    found = facts(planner([{}], [one], [LYON]), one)
    assert Topic.RULE not in found
    assert words(found, Topic.IMAGE) == ["image 1 is queued, of unknown size"]
    assert words(found, Topic.DESIRE) == ["it has no data, so that no placement counts"]


def test_the_verdict_of_rank_one_is_the_one_that_the_planner_follows() -> None:
    one = image(int("1", 16), "debian-1")
    found = planner([{"name": "a"}, {"name": "b", "priority": 1}], [one], [LYON])
    desire = found.desire(identity(1), "lyon")
    assert desire is not None
    assert f"{desire.rule} says mirror with priority 1, and decides" in words(facts(found, one), Topic.RULE)
