"""What a site has to do."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from skerry.core.errors import Conflict
from skerry.core.image import Image, Status
from skerry.core.placement.actions import Adopt, Cause, Drop, Evict, Fetch, Move, Pin, Release, Repair, Unpin
from skerry.core.placement.guard import Guard
from skerry.core.placement.knowledge import Report
from skerry.core.placement.observed import Capacity, Held, Observed, PinnedBy
from skerry.core.placement.plan import Approval, Hold, Obstacle, Plan
from skerry.core.placement.reconcile import reconcile
from skerry.core.placement.reports import report_from_body, report_to_body
from skerry.core.placement.sites import Site, SiteState
from tests.unit.placement.stage import DAY, NOW, identity, image, planner, rules

ROOMY = Capacity(limit=10_000)
HOUR = 3600.0


def plan(
    entries: list[dict[str, Any]],
    images: Iterable[Image],
    copies: Iterable[Observed] = (),
    capacity: Capacity = ROOMY,
    *,
    now: float = NOW,
    state: SiteState = SiteState.ACTIVE,
    guard: Guard = Guard(),  # noqa: B008
    approval: Approval | None = None,
    standing: Hold | None = None,
) -> Plan:
    copies = list(copies)
    wanted = planner(entries, images, now=now).wanted("lyon", [copy.image_id for copy in copies])
    site = Site("lyon", state=state)
    return reconcile(site, wanted, copies, capacity, now, guard=guard, approval=approval, standing=standing)


def copy(number: int, state: Held = Held.COMPLETE, size: int = 10, **known: Any) -> Observed:
    return Observed(identity(number), state, size, **known)


def mirrored(number: int, **known: Any) -> Observed:
    return copy(number, mirrored_by="rule-0", **known)


def ids(found: Plan, kind: type) -> list[int]:
    return [int(action.image_id[-4:], 16) for action in found.actions if isinstance(action, kind)]


def obstacles(found: Plan) -> dict[int, Obstacle]:
    return {int(blocked.image_id[-4:], 16): blocked.obstacle for blocked in found.blocked}


def test_what_is_mirrored_and_not_here_is_fetched_with_all_that_its_placement_says() -> None:
    rule = {"pinned": True, "store": "fast", "rate": "2MiB", "priority": 3, "keep": "1d"}
    (action,) = plan([rule], [image(1)]).actions
    assert action == Fetch(
        identity(1), "rule-0 mirrors it", "rule-0", 3, True, "fast", 2 << 20, DAY, not_before=None
    )


def test_what_is_on_demand_is_not_fetched_and_what_is_here_of_it_stays() -> None:
    assert plan([{"mode": "on-demand"}], [image(1), image(2)], [copy(2)]) == Plan(())


def test_a_copy_that_was_deleted_by_hand_is_fetched_again() -> None:
    images = [image(1), image(2)]
    assert plan([{}], images, [mirrored(1), mirrored(2)]).actions == ()
    assert ids(plan([{}], images, [mirrored(1)]), Fetch) == [2]


def test_a_half_copy_goes_on_and_says_how_much_is_here() -> None:
    (action,) = plan([{}], [image(1)], [mirrored(1, state=Held.PARTIAL, here=4)]).actions
    assert isinstance(action, Fetch)
    assert not isinstance(action, Repair)
    assert "4 bytes are here" in action.reason


@pytest.mark.parametrize("broken", [copy(1, Held.BAD), copy(1, size=9)])
@pytest.mark.parametrize("mode", ["mirror", "on-demand"])
def test_a_bad_copy_and_one_of_a_wrong_size_are_repaired_whether_mirrored_or_not(
    broken: Observed, mode: str
) -> None:
    assert ids(plan([{"mode": mode}], [image(1)], [broken]), Repair) == [1]


def test_what_clients_and_persons_have_asked_for_is_left_to_the_cache() -> None:
    copies = [copy(1, Held.QUEUED), copy(2, Held.PARTIAL)]
    assert plan([], [image(1), image(2)], copies) == Plan(())


def test_pinned_comes_first_then_high_priority_then_what_is_begun_then_the_youngest() -> None:
    rules: list[dict[str, Any]] = [
        {},
        {"images": {"tag": "urgent"}, "priority": 1},
        {"images": {"tag": "pinned"}, "pinned": True, "priority": -1},
    ]
    images = [
        image(1, days=3),
        image(2, days=2),
        image(3, days=1),
        image(4, tags=["urgent"]),
        image(5, tags=["pinned"]),
    ]
    rules[0]["priority"] = -2
    found = plan(rules, images, [mirrored(1, state=Held.PARTIAL)])
    assert ids(found, Fetch) == [5, 4, 1, 3, 2]


def test_a_fetch_waits_for_its_window_and_the_plan_is_made_again_when_it_opens_and_closes() -> None:
    rule = {"window": "22:00-06:00"}
    by_day = plan([rule], [image(1)])
    (waiting,) = by_day.actions
    assert isinstance(waiting, Fetch)
    assert waiting.not_before == by_day.next_at == NOW + 10 * HOUR
    by_night = plan([rule], [image(1)], now=NOW + 11 * HOUR)
    (action,) = by_night.actions
    assert isinstance(action, Fetch)
    assert action.not_before is None
    assert by_night.next_at == NOW + 18 * HOUR


def test_a_fetch_that_has_failed_waits_for_its_next_try() -> None:
    copies = [mirrored(1, state=Held.PARTIAL, retry_at=NOW + 60)]
    (action,) = plan([{}], [image(1)], copies).actions
    assert isinstance(action, Fetch)
    assert action.not_before == NOW + 60


def test_a_next_try_outside_the_window_waits_for_it_too() -> None:
    copies = [mirrored(1, state=Held.QUEUED, retry_at=NOW + 2 * HOUR)]
    (action,) = plan([{"window": "11:00-13:00"}], [image(1)], copies).actions
    assert isinstance(action, Fetch)
    assert action.not_before == NOW + 23 * HOUR


def test_a_placement_pins_and_unpins_its_own_and_lets_a_persons_pin_be() -> None:
    copies = [mirrored(1), mirrored(2, pinned_by=PinnedBy.RULE), mirrored(3, pinned_by=PinnedBy.PERSON)]
    images = [image(1), image(2), image(3)]
    pinning = plan([{"pinned": True}], images, copies)
    assert (ids(pinning, Pin), ids(pinning, Unpin)) == ([1], [])
    letting_go = plan([{}], images, copies)
    assert (ids(letting_go, Pin), ids(letting_go, Unpin)) == ([], [2])


def test_a_copy_that_is_here_already_becomes_the_placements_own_without_a_fetch() -> None:
    (action,) = plan([{"keep": "1d"}], [image(1)], [copy(1)]).actions
    assert isinstance(action, Adopt)
    assert (action.rule, action.keep) == ("rule-0", DAY)


def test_a_copy_is_noted_anew_when_its_placement_keeps_for_another_time() -> None:
    (action,) = plan([{"keep": "2d"}], [image(1)], [mirrored(1, keep=DAY)]).actions
    assert isinstance(action, Adopt)
    assert action.keep == 2 * DAY


def test_what_is_mirrored_no_longer_is_kept_for_a_time_and_then_dropped() -> None:
    kept = mirrored(1, keep=DAY)
    first = plan([], [image(1)], [kept])
    assert [type(action) for action in first.actions] == [Release]
    released = mirrored(1, keep=DAY, unwanted_since=NOW)
    meanwhile = plan([], [image(1)], [released], now=NOW + HOUR)
    assert meanwhile == Plan((), next_at=NOW + DAY)
    (drop,) = plan([], [image(1)], [released], now=NOW + DAY).actions
    assert isinstance(drop, Drop)
    assert drop.cause is Cause.KEPT


def test_what_is_not_to_be_kept_goes_at_once_and_what_has_no_time_becomes_ordinary() -> None:
    assert ids(plan([], [image(1)], [mirrored(1, keep=0.0)]), Drop) == [1]
    (action,) = plan([], [image(1)], [mirrored(1)]).actions
    assert action == Release(identity(1), "rule-0 mirrors it no longer", None)


def test_what_is_mirrored_again_in_time_stays() -> None:
    (action,) = plan([{"keep": "1d"}], [image(1)], [mirrored(1, keep=DAY, unwanted_since=NOW - HOUR)]).actions
    assert isinstance(action, Adopt)


def test_a_persons_pin_outlasts_the_time_of_keeping_and_not_a_never() -> None:
    pinned = mirrored(1, keep=DAY, unwanted_since=NOW - 9 * DAY, pinned_by=PinnedBy.PERSON)
    assert plan([], [image(1)], [pinned]).actions == ()
    assert ids(plan([{"mode": "never"}], [image(1)], [pinned]), Drop) == [1]


def test_a_fetch_of_what_is_mirrored_no_longer_ends_unless_a_client_waits_for_it() -> None:
    half = mirrored(1, state=Held.PARTIAL, here=3)
    assert ids(plan([], [image(1)], [half]), Drop) == [1]
    awaited = mirrored(1, state=Held.PARTIAL, here=3, busy=True)
    assert ids(plan([], [image(1)], [awaited]), Drop) == []


@pytest.mark.parametrize("state", list(Held))
def test_where_an_image_is_never_to_be_nothing_is_left_of_it(state: Held) -> None:
    assert ids(plan([{"mode": "never"}], [image(1)], [copy(1, state)]), Drop) == [1]


def test_the_copy_of_a_deleted_image_goes() -> None:
    (drop,) = plan([], [], [copy(1, pinned_by=PinnedBy.PERSON)]).actions
    assert isinstance(drop, Drop)
    assert drop.cause is Cause.UNKNOWN


@pytest.mark.parametrize("rules", [[], [{}], [{"mode": "never"}]])
def test_what_has_its_home_here_is_never_touched(rules: list[dict[str, Any]]) -> None:
    assert plan(rules, [image(1)], [copy(1, cached=False), copy(2, cached=False)]).actions == ()


def test_what_is_bad_at_its_home_needs_a_person() -> None:
    found = plan([{}], [image(1)], [copy(1, Held.BAD, cached=False)])
    assert (found.actions, obstacles(found)) == ((), {1: Obstacle.AT_HOME})


def test_a_deactivated_image_stays_and_is_not_fetched() -> None:
    images = [image(1, status=Status.DEACTIVATED), image(2, status=Status.DEACTIVATED)]
    assert plan([{}], images, [mirrored(1)]) == Plan(())


def test_a_draining_site_is_brought_nothing_and_keeps_what_it_has() -> None:
    found = plan([{}], [image(1), image(2)], [mirrored(1)], state=SiteState.DRAINING)
    assert (found.actions, obstacles(found)) == ((), {2: Obstacle.DRAINING})


def test_the_least_recently_used_makes_room_just_before_what_needs_it() -> None:
    rule = {"images": {"tag": "golden"}}
    images = [image(n) for n in (1, 2, 3)] + [image(4, tags=["golden"], size=15)]
    copies = [copy(1, last_used=3), copy(2, last_used=1), copy(3, last_used=2)]
    found = plan([rule], images, copies, Capacity(limit=30))
    assert [(type(action), int(action.image_id[-4:])) for action in found.actions] == [
        (Evict, 2),
        (Evict, 3),
        (Fetch, 4),
    ]


def test_what_is_pinned_mirrored_in_use_at_home_or_cannot_come_back_makes_no_room() -> None:
    rules: list[dict[str, Any]] = [
        {"images": {"tag": "golden"}},
        {"images": {"tag": "keep"}, "mode": "on-demand", "pinned": True},
    ]
    images = [
        image(1),
        image(2, tags=["golden"]),
        image(3),
        image(4),
        image(5, status=Status.DEACTIVATED),
        image(6, tags=["keep"]),
        image(7, tags=["golden"]),
    ]
    copies = [
        copy(1, pinned_by=PinnedBy.PERSON),
        mirrored(2),
        copy(3, busy=True),
        copy(4, cached=False),
        copy(5),
        copy(6, pinned_by=PinnedBy.RULE),
    ]
    found = plan(rules, images, copies, Capacity(limit=55))
    assert found.actions == ()
    assert obstacles(found) == {7: Obstacle.NO_ROOM}
    assert "cache" in found.blocked[0].remedy


def test_a_large_image_that_finds_no_room_does_not_keep_a_small_one_out() -> None:
    found = plan([{}], [image(1, size=99), image(2, days=1)], capacity=Capacity(limit=20))
    assert (ids(found, Fetch), obstacles(found)) == ([2], {1: Obstacle.NO_ROOM})


def test_the_disk_may_have_less_than_the_limit_allows() -> None:
    found = plan([{}], [image(1), image(2, days=1)], capacity=Capacity(limit=1000, free=15))
    assert (ids(found, Fetch), obstacles(found)) == ([1], {2: Obstacle.NO_ROOM})


def test_what_a_begun_copy_has_still_to_get_is_promised_of_the_disk() -> None:
    copies = [mirrored(1, state=Held.PARTIAL, here=2)]
    found = plan([{}], [image(1), image(2)], copies, Capacity(limit=1000, free=17))
    assert (ids(found, Fetch), obstacles(found)) == ([1], {2: Obstacle.NO_ROOM})


def test_what_is_dropped_makes_room_in_the_same_plan() -> None:
    rules: list[dict[str, Any]] = [{"images": {"tag": "golden"}}, {"mode": "never", "images": {"tag": "bad"}}]
    images = [image(1, tags=["golden"]), image(2, tags=["bad"])]
    found = plan(rules, images, [copy(2)], Capacity(limit=10))
    assert [type(action) for action in found.actions] == [Drop, Fetch]


GOLDEN = {"images": {"tag": "golden"}}


def test_the_room_of_a_bad_copy_that_is_evicted_is_counted_once() -> None:
    images = [image(1, size=1), image(2, size=2, tags=["golden"]), image(3, size=1, days=1, tags=["golden"])]
    found = plan([GOLDEN], images, [copy(1, Held.BAD, size=2)], Capacity(limit=2))
    assert (ids(found, Evict), ids(found, Fetch), obstacles(found)) == ([1], [2], {3: Obstacle.NO_ROOM})


def test_what_frees_room_goes_first_so_that_nothing_is_refused_that_fits_afterwards() -> None:
    images = [image(1, size=1), image(2, size=1, days=1)]
    copies = [copy(1, Held.BAD, size=1), copy(2, size=2)]
    assert ids(plan([], images, copies, Capacity(limit=2)), Repair) == [1, 2]


def test_what_frees_most_room_goes_before_what_frees_less() -> None:
    images = [image(1, size=1), image(2, size=1, days=1)]
    copies = [copy(n, size=n + 1, pinned_by=PinnedBy.PERSON) for n in (1, 2)]
    assert ids(plan([], images, copies, Capacity(limit=3)), Repair) == [1, 2]


def test_what_frees_room_goes_first_while_deletions_wait_too() -> None:
    images = [image(1, size=1), image(2, size=1, tags=["golden"])]
    found = plan([GOLDEN], images, [copy(1, size=2)], Capacity(limit=2), guard=Guard(share=0.2, few=0))
    assert sorted(ids(found, Fetch)) == [1, 2]


def crowd(count: int) -> tuple[list[Image], list[Observed]]:
    return [image(n) for n in range(count)], [copy(n) for n in range(count)]


def test_a_plan_that_deletes_more_than_a_share_waits_for_a_person() -> None:
    images, copies = crowd(20)
    never = [{"mode": "never", "images": {"name": [f"image {n}" for n in range(6)]}}]
    found = plan(never, images, copies)
    assert found.actions == ()
    assert found.hold is not None
    assert (found.hold.losing, found.hold.copies, found.hold.since) == (6, 20, NOW)
    assert "6 of 20 copies would go, more than 25%" in found.hold.reason


def test_a_few_may_always_go_and_many_when_they_are_a_small_share() -> None:
    images, copies = crowd(6)
    assert len(ids(plan([{"mode": "never", "images": {"name": "image [0-4]"}}], images, copies), Drop)) == 5
    images, copies = crowd(100)
    assert len(ids(plan([{"mode": "never", "images": {"name": "image 1*"}}], images, copies), Drop)) == 11


def test_a_person_approves_exactly_what_was_shown() -> None:
    images, copies = crowd(8)
    first = plan([{"mode": "never"}], images, copies)
    assert first.hold is not None
    approval = first.hold.approve(first.hold.digest)
    done = plan([{"mode": "never"}], images, copies, approval=approval, standing=first.hold)
    assert (len(ids(done, Drop)), done.hold) == (8, None)
    grown = plan([{"mode": "never"}], *crowd(9), standing=first.hold)
    assert grown.hold is not None
    with pytest.raises(Conflict, match="has changed"):
        grown.hold.approve(first.hold.digest)


def test_an_approval_is_good_until_all_of_it_is_done_and_for_nothing_else() -> None:
    images, copies = crowd(20)
    never = [{"mode": "never"}]
    first = plan(never, images[:10], copies[:10])
    assert first.hold is not None
    approval = first.hold.approve(first.hold.digest)
    half_done = plan(never, images, copies[5:], approval=approval)
    assert len(ids(half_done, Drop)) == 5
    assert half_done.hold is not None
    assert half_done.hold.losing == 10
    assert not approval.spent(half_done)
    assert approval.spent(plan(never, images, copies[10:], approval=approval))


def test_the_same_plan_at_another_site_is_another_one() -> None:
    first, other = (
        Hold(site, "", NOW, 9, 9, frozenset({(Cause.NEVER, identity(1))})) for site in ("lyon", "brest")
    )
    assert first.digest != other.digest


def test_what_is_held_stays_held_however_many_copies_come_meanwhile() -> None:
    images, copies = crowd(8)
    never = [{"mode": "never", "images": {"name": "image [0-5]"}}]
    first = plan(never, images, copies)
    assert first.hold is not None
    images, copies = crowd(80)
    later = plan(never, images, copies, now=NOW + HOUR, standing=first.hold)
    assert later.actions == ()
    assert later.hold is not None
    assert later.hold.since == NOW


def test_a_hold_ends_when_nothing_is_left_to_delete() -> None:
    images, copies = crowd(8)
    first = plan([{"mode": "never"}], images, copies)
    assert plan([], images, copies, standing=first.hold).hold is None


def test_evictions_count_and_what_needs_them_waits_while_the_rest_comes() -> None:
    rule = {"images": {"tag": "golden"}}
    images, copies = crowd(8)
    images += [image(50, size=70, tags=["golden"]), image(51, size=5, tags=["golden"], days=1)]
    found = plan([rule], images, copies, Capacity(limit=90))
    assert found.hold is not None
    assert (ids(found, Evict), ids(found, Fetch)) == ([], [51])
    assert obstacles(found) == {50: Obstacle.HELD}
    approved = plan(
        [rule], images, copies, Capacity(limit=90), approval=found.hold.approve(found.hold.digest)
    )
    assert (len(ids(approved, Evict)), ids(approved, Fetch)) == (7, [50, 51])


def test_what_a_site_reports_of_its_plan_comes_back_as_it_was() -> None:
    rule = {"pinned": True, "rate": "2MiB", "priority": 3, "keep": "1d"}
    (step,) = plan([rule], [image(1)]).actions
    held = Observed(identity(1), Held.COMPLETE, 10, mirrored_by="rule-0", keep=rules(rule)[0].keep)
    report = Report(NOW, held, None, step)
    body = msgspec.json.decode(msgspec.json.encode(report_to_body(report)))
    assert report_from_body(body, NOW) == report


def test_a_whole_copy_is_moved_to_the_store_of_its_placement_where_there_is_one() -> None:
    fast, rule = Capacity(10_000, stores=frozenset({"fast"})), {"store": "fast", "mode": "on-demand"}
    held = [copy(1), copy(2, Held.PARTIAL), copy(3, store="fast")]
    images = [image(1), image(2), image(3)]
    assert ids(plan([rule], images, held, fast), Move) == [1]
    assert ids(plan([rule], images, held), Move) == []
    assert ids(plan([{**rule, "mode": "mirror"}], images, held, fast), Move) == [1]
    assert ids(plan([{"mode": "mirror"}], images, held, fast), Move) == []


def test_what_has_room_only_while_deletions_are_held_comes_and_is_not_said_to_have_none() -> None:
    images, copies = crowd(8)
    images += [image(50, size=85), image(51, size=8, days=1)]
    found = plan([{"mode": "never", "images": {"name": "image [0-7]"}}, {}], images, copies, Capacity(90))
    assert (ids(found, Drop), ids(found, Fetch)) == ([], [51])
    assert obstacles(found) == {50: Obstacle.HELD}


def test_which_copies_make_room_does_not_matter_for_what_is_approved() -> None:
    images, copies = crowd(8)
    images.append(image(50, size=60, tags=["golden"]))
    rule = {"images": {"tag": "golden"}}
    first = plan([rule], images, copies, Capacity(limit=80))
    used = [copy(n, last_used=float(n == 0)) for n in range(8)]
    later = plan([rule], images, used, Capacity(limit=80), standing=first.hold)
    assert first.hold is not None
    assert later.hold is not None
    assert first.hold.digest == later.hold.digest


def test_the_share_is_the_operators_to_choose() -> None:
    images, copies = crowd(4)
    assert plan([{"mode": "never"}], images, copies, guard=Guard(share=0.5, few=1)).hold is not None
    assert plan([{"mode": "never"}], images, copies, guard=Guard(share=1)).hold is None
