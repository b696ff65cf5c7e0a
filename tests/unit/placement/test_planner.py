"""What ought to be, for all images at all sites."""

from hypothesis import given
from hypothesis import strategies as st

from skerry.core.image import Image, Status
from skerry.core.placement.planner import Planner, Total
from skerry.core.placement.rule import Mode, Placement
from skerry.core.placement.sites import Site
from skerry.core.placement.wish import PROPERTY
from tests.unit.placement import drawn
from tests.unit.placement.stage import DAY, NOW, identity, image, planner


def mirrored(found: Planner, site: str = "lyon") -> set[int]:
    """The numbers of the images that are mirrored at a site."""
    return {int(image_id[-4:], 16) for image_id, desire in found.for_site(site) if desire.is_mirror}


def test_without_a_placement_an_image_is_on_demand() -> None:
    desire = planner([], [image(1)]).desire(identity(1), "lyon")
    assert desire is not None
    assert (desire.mode, desire.rule, desire.pinned) == (Mode.ON_DEMAND, "", False)


def test_only_one_placement_decides_and_nothing_of_another_is_mixed_in() -> None:
    found = planner(
        [{"pinned": True, "keep": "1d"}, {"name": "firm", "priority": 1, "store": "fast"}], [image(1)]
    )
    desire = found.desire(identity(1), "lyon")
    assert desire is not None
    assert (desire.rule, desire.pinned, desire.keep, desire.store) == ("firm", False, None, "fast")


def test_an_image_without_data_ought_to_be_nowhere() -> None:
    found = planner([{}], [image(1, status=Status.QUEUED), image(2)])
    assert found.desire(identity(1), "lyon") is None
    assert mirrored(found) == {2}


def test_a_deactivated_image_is_wanted_as_before_and_said_to_be_withdrawn() -> None:
    desire = planner([{}], [image(1, status=Status.DEACTIVATED)]).desire(identity(1), "lyon")
    assert desire is not None
    assert desire.is_mirror
    assert desire.withdrawn


def test_the_newest_of_each_family_by_name() -> None:
    images = [
        image(1, "debian-11-1", days=3),
        image(2, "debian-11-2", days=2),
        image(3, "debian-12-1", days=9),
        image(4, "debian-11-3", days=1),
    ]
    assert mirrored(planner([{"images": {"newest": 2}}], images)) == {2, 3, 4}


def test_only_what_the_rest_of_the_selection_holds_for_counts_among_the_newest() -> None:
    images = [image(1, "debian-1", owner="ops", days=1), image(2, "debian-2", owner="mallory")]
    assert mirrored(planner([{"images": {"newest": 1, "owner": "ops"}}], images)) == {1}


def test_a_deactivated_image_leaves_its_place_to_the_next_and_stays_itself() -> None:
    images = [
        image(1, "app-1", days=3),
        image(2, "app-2", days=2),
        image(3, "app-3", days=1, status=Status.DEACTIVATED),
    ]
    assert mirrored(planner([{"images": {"newest": 1}}], images)) == {2, 3}


def test_a_new_version_concerns_its_own_family_alone() -> None:
    found = planner([{"images": {"newest": 1}}], [image(n, f"app{n}-1", days=1) for n in range(5)])
    change = found.update(image(9, "app3-2"))
    assert set(change.moved) == {identity(9), identity(3)}
    assert mirrored(found) == {0, 1, 2, 4, 9}
    assert set(found.remove(identity(9)).moved) == {identity(9), identity(3)}
    assert mirrored(found) == {0, 1, 2, 3, 4}


def test_an_image_matures_and_gets_too_old_at_the_moments_that_are_foretold() -> None:
    found = planner([{"images": {"age_min": "1d", "age_max": "3d"}}], [image(1)])
    assert mirrored(found) == set()
    assert found.next_change() == NOW + DAY
    found.advance(NOW + DAY)
    assert mirrored(found) == {1}
    assert found.next_change() == NOW + 3 * DAY
    change = found.advance(NOW + 3 * DAY)
    assert set(change.moved) == {identity(1)}
    assert mirrored(found) == set()
    assert found.next_change() is None


def test_a_clock_that_was_set_back_brings_back_what_was_then() -> None:
    found = planner([{"images": {"age_max": "1d"}}], [image(1)])
    found.advance(NOW + DAY)
    assert mirrored(found) == set()
    found.advance(NOW)
    assert mirrored(found) == {1}
    assert found.next_change() == NOW + DAY


def test_an_image_that_is_changed_makes_no_alarm_of_what_it_was() -> None:
    found = planner([{"images": {"age_max": "1d", "tag": "golden"}}], [image(1, tags=["golden"])])
    found.update(image(1))
    assert found.next_change() is None


def test_a_wish_counts_where_a_placement_honours_it_and_only_there() -> None:
    rules = [{"images": {"owner": "ops"}, "sites": {"wished": True, "label": "tier=far"}}]
    sites = [Site("lyon", {"tier": "far"}), Site("brest", {"tier": "far"}), Site("paris", {"tier": "near"})]
    wishing = {PROPERTY: "lyon, paris"}
    found = planner(rules, [image(1, owner="ops", properties=wishing), image(2, properties=wishing)], sites)
    assert [mirrored(found, site) for site in ("lyon", "brest", "paris")] == [{1}, set(), set()]
    desire = found.desire(identity(1), "lyon")
    assert desire is not None
    assert desire.wished


def test_without_a_placement_that_honours_wishes_they_are_as_nothing() -> None:
    sites = [Site("lyon")]
    found = planner([{"sites": {"name": "paris"}}], [image(1, properties={PROPERTY: "lyon"})], sites)
    assert mirrored(found) == set()


def test_how_much_ought_to_be_at_a_site() -> None:
    found = planner([{"images": {"size_max": 50}}], [image(1, size=10), image(2, size=30), image(3, size=99)])
    assert found.mirrored("lyon") == Total(2, 40)
    found.update(image(2, size=31))
    found.remove(identity(1))
    assert found.mirrored("lyon") == Total(1, 31)


def test_a_site_that_is_added_or_labelled_anew_gets_what_its_labels_say() -> None:
    found = planner([{"sites": {"label": "tier=far"}}], [image(1)], [])
    found.put_site(Site("lyon", {"tier": "near"}))
    assert mirrored(found) == set()
    found.put_site(Site("lyon", {"tier": "far"}))
    assert mirrored(found) == {1}
    found.remove_site("lyon")
    assert found.sites == []


def test_which_sites_a_change_concerns() -> None:
    rules = [{"images": {"tag": "golden"}, "sites": {"label": "tier=far"}}]
    sites = [Site("lyon", {"tier": "far"}), Site("paris")]
    found = planner(rules, [image(1)], sites)
    assert found.concerned(found.update(image(1))) == set()
    assert found.concerned(found.update(image(1, tags=["golden"]))) == {"lyon"}
    assert found.concerned(found.update(image(1, status=Status.DEACTIVATED))) == {"lyon", "paris"}
    assert found.concerned(found.remove(identity(1))) == {"lyon", "paris"}


def check(found: Planner, placements: list[Placement], known: list[Image], now: float) -> None:
    """It says the same as looking at each pair does, in each of its ways."""
    for site in drawn.SITES:
        naive = {one.id: drawn.naively(placements, known, one, site, now) for one in known}
        assert {one.id: found.desire(one.id, site.name) for one in known} == naive
        data = {image_id: desire for image_id, desire in naive.items() if desire is not None}
        assert dict(found.for_site(site.name)) == data
        mirrors = [one for one in known if (desire := naive[one.id]) is not None and desire.is_mirror]
        assert found.mirrored(site.name) == Total(len(mirrors), sum(one.size or 0 for one in mirrors))
        assert set(found.wanted(site.name, ())) == {one.id for one in mirrors}
        everything = found.wanted(site.name, [one.id for one in known])
        assert {image_id: wanted.desire for image_id, wanted in everything.items()} == data


@given(drawn.rules, drawn.catalogues)
def test_groups_say_the_same_as_looking_at_each_pair(placements: list[Placement], known: list[Image]) -> None:
    check(Planner(placements, drawn.SITES, known, NOW), placements, known, NOW)


@given(drawn.rules, drawn.catalogues, st.data())
def test_the_order_in_which_placements_and_images_are_given_does_not_matter(
    placements: list[Placement], known: list[Image], data: st.DataObject
) -> None:
    one = Planner(placements, drawn.SITES, known, NOW)
    other = Planner(
        data.draw(st.permutations(placements)), drawn.SITES, data.draw(st.permutations(known)), NOW
    )
    for site in drawn.SITES:
        assert dict(one.for_site(site.name)) == dict(other.for_site(site.name))


@given(
    drawn.rules,
    drawn.catalogues,
    st.lists(drawn.images | st.integers(0, 9) | st.floats(-5 * DAY, 5 * DAY), max_size=8),
)
def test_after_any_changes_it_is_as_if_built_anew_and_it_says_what_has_changed(
    placements: list[Placement], start: list[Image], changes: list[Image | int | float]
) -> None:
    known, now = {one.id: one for one in start}, NOW
    found = Planner(placements, drawn.SITES, start, now)
    for step in changes:
        before = {site.name: dict(found.for_site(site.name)) for site in drawn.SITES}
        if isinstance(step, Image):
            known[step.id] = step
            change = found.update(step)
        elif isinstance(step, int):
            known.pop(identity(step), None)
            change = found.remove(identity(step))
        else:
            now += step
            change = found.advance(now)
        check(found, placements, list(known.values()), now)
        differ = {
            (site, image_id)
            for site, was in before.items()
            for image_id in was.keys() | dict(found.for_site(site)).keys()
            if was.get(image_id) != found.desire(image_id, site)
        }
        assert {image_id for _, image_id in differ} <= change.moved.keys()
        assert {site for site, _ in differ} == found.concerned(change)


@given(drawn.rules, drawn.catalogues)
def test_nothing_changes_before_the_moment_that_is_foretold(
    placements: list[Placement], known: list[Image]
) -> None:
    found = Planner(placements, drawn.SITES, known, NOW)
    moment = found.next_change() or NOW + 99 * DAY
    assert moment > NOW
    then = Planner(placements, drawn.SITES, known, moment - 1)
    for site in drawn.SITES:
        assert dict(found.for_site(site.name)) == dict(then.for_site(site.name))
