"""Everything about placements as JSON."""

import json
from datetime import UTC, datetime

import pytest

from skerry.core.placement.actions import Cause, Drop, Fetch
from skerry.core.placement.desire import Desire
from skerry.core.placement.explain import explain
from skerry.core.placement.judgement import judge
from skerry.core.placement.knowledge import Heard, Report
from skerry.core.placement.observed import Capacity, Held, Observed
from skerry.core.placement.plan import Hold, Plan
from skerry.core.placement.preflight import preflight
from skerry.core.placement.proposal import propose
from skerry.core.placement.reconcile import reconcile
from skerry.core.placement.rule import Mode
from skerry.core.placement.verdicts import verdicts
from skerry.core.placement.window import Window
from skerry.core.placement.wire import to_wire
from tests.unit.placement.stage import NOW, identity, image, planner, rules


def test_an_action_says_which_one_it_is_and_moments_are_times() -> None:
    shown = to_wire(Fetch(identity(1), "far mirrors it", "far", rate=5, not_before=NOW))
    assert shown == {
        "action": "fetch",
        "image_id": identity(1),
        "reason": "far mirrors it",
        "rule": "far",
        "priority": 0,
        "pinned": False,
        "store": "",
        "rate": 5,
        "keep": None,
        "not_before": "2026-01-31T12:00:00Z",
    }


def test_a_plan_shows_its_hold_with_the_digest_to_approve() -> None:
    deletions = frozenset({(Cause.NEVER, "b"), (Cause.KEPT, "a")})
    hold = Hold("lyon", "2 of 4 copies would go", NOW, 4, 2, deletions)
    shown = to_wire(Plan((Drop("c", "gone", Cause.UNKNOWN),), hold=hold))
    assert shown["actions"] == [{"action": "drop", "image_id": "c", "reason": "gone", "cause": "unknown"}]
    assert shown["hold"]["digest"] == hold.digest
    assert shown["hold"]["deletions"] == [["kept", "a"], ["never", "b"]]
    assert shown["next_at"] is None


def test_a_placement_has_the_keys_of_its_document_and_a_window_its_text() -> None:
    (placement,) = rules({"name": "far", "window": "22:00-06:00"})
    assert to_wire(placement)["window"] == "22:00-06:00"
    assert to_wire(Desire(Mode.MIRROR, window=Window.parse("22:00-06:00")))["window"] == "22:00-06:00"


def test_all_that_is_answered_can_be_written_as_json() -> None:
    found = planner([{"keep": "1d"}], [image(1), image(2)])
    site = found.site("lyon")
    copy = Observed(identity(1), Held.COMPLETE, 10, mirrored_by="x", keep=9.0, unwanted_since=NOW)
    wanted = found.wanted("lyon", [identity(1)])
    plan = reconcile(site, wanted, [copy], Capacity(10), NOW)
    knowledge = judge(identity(1), "lyon", wanted[identity(1)], Report(NOW, copy), Heard(NOW, 60), NOW)
    values = {
        "plan": plan,
        "knowledge": knowledge,
        "preflight": preflight("lyon", [knowledge]),
        "facts": explain(found, image(1), site, Report(NOW, copy), knowledge),
        "verdicts": verdicts(found, image(1), site),
        "proposal": propose(found, rules()),
        "copy": copy,
        "desire": found.desire(identity(1), "lyon"),
    }
    shown = json.loads(json.dumps(to_wire(values)))
    assert shown["plan"]["blocked"][0]["obstacle"] == "no-room"
    assert shown["knowledge"]["sync"]["value"] == "verified"
    assert shown["knowledge"]["contact"]["as_of"] == "2026-01-31T12:00:00Z"
    assert shown["preflight"]["is_safe"] is True
    assert shown["proposal"]["effects"] == [
        {name: {"images": 0, "size": 0} for name in ("fetch", "drop", "pin", "unpin")}
        | {"site": "lyon", "later": {"images": 2, "size": 20}}
    ]
    assert shown["copy"]["drop_at"] == "2026-01-31T12:00:09Z"


def test_what_is_no_value_of_ours_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(TypeError, match="datetime"):
        to_wire(datetime.now(UTC))
