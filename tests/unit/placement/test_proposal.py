"""What other placements would change."""

from typing import Any

import pytest
from hypothesis import given

from skerry.core.errors import Conflict
from skerry.core.image import Image, Status
from skerry.core.placement.planner import Planner, Total
from skerry.core.placement.proposal import Changed, Effect, propose
from skerry.core.placement.rule import Mode, Placement
from skerry.core.placement.sites import Site
from tests.unit.placement import drawn
from tests.unit.placement.stage import NOW, identity, image, planner, rules

SITES = [Site("lyon", {"tier": "far"}), Site("paris")]
FAR: dict[str, Any] = {"name": "far", "sites": {"label": "tier=far"}}


def test_what_is_added_changed_and_removed() -> None:
    found = propose(
        planner([FAR, {"name": "old"}, {"name": "same"}], [], SITES),
        rules({"name": "new"}, FAR | {"priority": 3, "keep": "1d"}, {"name": "same"}),
    )
    assert (found.added, found.removed) == (("new",), ("old",))
    assert found.changed == (Changed("far", ("keep", "priority")),)


def test_what_would_be_fetched_and_pinned_at_each_site_and_nothing_of_the_others() -> None:
    found = propose(planner([], [image(1), image(2, size=30)], SITES), rules(FAR | {"pinned": True}))
    assert found.effects == (Effect("lyon", fetch=Total(2, 40), pin=Total(2, 40)),)


def test_what_is_here_already_is_not_fetched() -> None:
    before = planner([], [image(1), image(2, size=30)], SITES)
    found = propose(before, rules(FAR), {"lyon": {identity(2)}})
    assert found.effects == (Effect("lyon", fetch=Total(1, 10)),)


def test_a_deactivated_image_is_not_fetched() -> None:
    before = planner([], [image(1, status=Status.DEACTIVATED)], SITES)
    assert propose(before, rules(FAR)).effects == ()


def test_what_is_mirrored_no_longer_goes_at_once_or_later_or_stays_as_its_placement_says() -> None:
    images = [image(1), image(2, size=30)]
    for keep, effects in (
        ({"keep": 0}, (Effect("lyon", drop=Total(2, 40)),)),
        ({"keep": "1d"}, (Effect("lyon", later=Total(2, 40)),)),
        ({}, ()),
    ):
        assert propose(planner([FAR | keep], images, SITES), ()).effects == effects


def test_where_an_image_is_never_to_be_what_is_here_goes() -> None:
    before = planner([FAR | {"pinned": True}], [image(1), image(2)], SITES)
    never = rules({"name": "no", "mode": "never", "priority": 1})
    assert propose(before, never).effects == (Effect("lyon", drop=Total(2, 20)),)
    held = {"lyon": {identity(1)}, "paris": {identity(2)}}
    assert propose(before, never, held).effects == (
        Effect("lyon", drop=Total(1, 10)),
        Effect("paris", drop=Total(1, 10)),
    )


def test_the_same_placements_change_nothing() -> None:
    found = propose(planner([FAR], [image(1)], SITES), rules(FAR))
    assert (found.added, found.changed, found.removed, found.effects) == ((), (), (), ())


def test_what_was_shown_can_be_applied_and_nothing_else() -> None:
    shown = propose(planner([], [image(1)], SITES), rules(FAR))
    shown.check(propose(planner([], [image(1)], SITES), rules(FAR)).fingerprint)
    others = [
        propose(planner([], [image(1), image(2)], SITES), rules(FAR)),
        propose(planner([{"name": "else", "mode": "on-demand"}], [image(1)], SITES), rules(FAR)),
        propose(planner([], [image(1)], SITES), rules(FAR | {"priority": 1})),
    ]
    for other in others:
        with pytest.raises(Conflict, match="placement plan"):
            other.check(shown.fingerprint)


def test_a_new_image_that_no_site_is_brought_does_not_make_a_plan_stale() -> None:
    golden = rules(FAR | {"images": {"tag": "golden"}})
    shown = propose(planner([], [image(1, tags=["golden"])], SITES), golden)
    propose(planner([], [image(1, tags=["golden"]), image(2)], SITES), golden).check(shown.fingerprint)


@given(drawn.rules, drawn.rules, drawn.catalogues)
def test_the_counts_are_those_of_looking_at_each_pair(
    current: list[Placement], proposed: list[Placement], known: list[Image]
) -> None:
    before = Planner(current, drawn.SITES, known, NOW)
    effects = {effect.site: effect for effect in propose(before, proposed).effects}
    for site in drawn.SITES:
        fetched = dropped = 0
        for one in known:
            was = drawn.naively(current, known, one, site, NOW)
            will = drawn.naively(proposed, known, one, site, NOW)
            if was is None or will is None:
                continue
            fetched += will.is_mirror and not was.is_mirror and not will.withdrawn
            dropped += was.is_mirror and will.mode is Mode.NEVER
        effect = effects.get(site.name, Effect(site.name))
        assert (effect.fetch.images, effect.drop.images) == (fetched, dropped)
