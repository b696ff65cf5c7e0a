"""What sites are to each other, as rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from skerry.core.signing import SigningKey
from skerry.core.site import (
    GRACE,
    SiteRecord,
    SiteState,
    check_admitted,
    check_labels,
    check_name,
    check_removable,
    check_upstream,
    check_url,
    hang,
    is_another,
    move_to,
    path,
    relabel,
    site_from_body,
    site_to_body,
    subtree,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = SigningKey.generate().public, SigningKey.generate().public


def tree(**upstreams: str | None) -> dict[str, SiteRecord]:
    """Active sites, each with its upstream."""
    return {name: SiteRecord(name, above, SiteState.ACTIVE) for name, above in upstreams.items()}


SITES = tree(central=None, paris="central", lyon="paris", brest="paris", nice="central")


def test_a_record_travels_without_loss() -> None:
    record = SiteRecord(
        "lyon", "paris", SiteState.DRAINING, {"tier": "far"}, (NEW, OLD), "https://lyon:9293", NOW, NOW, NOW
    )
    for one in (record, SiteRecord("central", None, SiteState.ACTIVE)):
        assert site_from_body(msgspec.json.decode(msgspec.json.encode(site_to_body(one)))) == one


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../etc"},
        {"upstream": 7},
        {"state": "asleep"},
        {"keys": ["00"]},
        {"labels": ["tier"]},
        {"url": "http://plain"},
        {"joined_at": "yesterday"},
    ],
)
def test_a_body_that_no_centre_writes_is_no_record(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        site_from_body({**site_to_body(SITES["lyon"]), **change})


def test_what_a_later_version_adds_to_a_record_is_passed_over() -> None:
    assert site_from_body({**site_to_body(SITES["lyon"]), "colour": "blue"}) == SITES["lyon"]


@pytest.mark.parametrize("name", ["", "-lyon", "lyon-", "Lyon", "l/yon", "lyon.fr", "a" * 33, None, 7])
def test_names_that_no_site_may_have(name: object) -> None:
    with pytest.raises(InvalidInput):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "lyon-3", "0", "a" * 32])
def test_names_that_a_site_may_have(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("labels", [{"": "x"}, {"Tier": "x"}, {"tier": ""}, {"tier": "a b"}, {"tier": 1}, []])
def test_labels_that_no_site_may_have(labels: object) -> None:
    with pytest.raises(InvalidInput):
        check_labels(labels)


@pytest.mark.parametrize(
    "url", ["http://a", "https://", "https://a b", "https://u:p@a", "https://a?x=1", None]
)
def test_urls_at_which_no_site_listens(url: object) -> None:
    with pytest.raises(InvalidInput):
        check_url(url)


def test_labels_are_set_and_taken_away_one_by_one() -> None:
    site = replace(SITES["lyon"], labels={"tier": "far", "country": "fr"})

    assert relabel(site, {"tier": None, "rack": "7"}).labels == {"country": "fr", "rack": "7"}


def test_a_subtree_is_a_site_and_all_below_it() -> None:
    assert subtree(SITES, "paris") == {"paris", "lyon", "brest"}
    assert subtree(SITES, "central") == set(SITES)
    assert subtree(SITES, "lyon") == {"lyon"}


def test_a_path_leads_to_the_centre() -> None:
    assert path(SITES, "lyon") == ("lyon", "paris", "central")
    assert path(SITES, "central") == ("central",)
    assert path(SITES, "unknown") == ()


def test_records_that_form_a_circle_keep_nobody_busy() -> None:
    circle = tree(paris="lyon", lyon="paris")

    assert subtree(circle, "paris") == {"paris", "lyon"}
    assert path(circle, "paris") == ("paris", "lyon")


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=30))
def test_however_sites_are_moved_they_stay_a_tree(moves: list[tuple[int, int]]) -> None:
    sites = tree(s0=None, **{f"s{n}": "s0" for n in range(1, 8)})
    for which, where in moves:
        name = f"s{which}"
        try:
            sites[name] = hang(sites, sites[name], f"s{where}")
        except Conflict:
            continue

    assert subtree(sites, "s0") == set(sites)
    assert all(path(sites, name)[-1] == "s0" for name in sites)


def test_a_site_hangs_at_nobody_unknown_revoked_or_below_it() -> None:
    with pytest.raises(NotFound):
        check_upstream(SITES, "lyon", "rome")
    with pytest.raises(Conflict, match="hangs at paris itself"):
        check_upstream(SITES, "paris", "lyon")
    sites = {**SITES, "nice": replace(SITES["nice"], state=SiteState.REVOKED)}
    with pytest.raises(Conflict, match="revoked"):
        check_upstream(sites, "lyon", "nice")
    with pytest.raises(Conflict, match="is the centre"):
        hang(SITES, SITES["central"], "paris")


def test_which_state_may_follow_which() -> None:
    may = {
        (before, after)
        for before in SiteState
        for after in SiteState
        if before is not after and _may(replace(SITES["lyon"], state=before), after)
    }
    assert {f"{before} {after}" for before, after in may} == {
        "invited revoked",
        "active draining",
        "active revoked",
        "draining active",
        "draining revoked",
    }
    with pytest.raises(Conflict, match="centre"):
        move_to(SITES["central"], "revoked")
    with pytest.raises(InvalidInput):
        move_to(SITES["lyon"], "asleep")


def _may(site: SiteRecord, state: SiteState) -> bool:
    try:
        return move_to(site, state).state is state
    except Conflict:
        return False


def test_only_a_leaf_that_does_not_work_any_more_is_removed() -> None:
    with pytest.raises(Conflict, match="active"):
        check_removable(SITES, SITES["lyon"])
    with pytest.raises(Conflict, match="the centre"):
        check_removable(SITES, SITES["central"])
    with pytest.raises(Conflict, match="upstream of brest, lyon"):
        check_removable(SITES, replace(SITES["paris"], state=SiteState.REVOKED))
    check_removable(SITES, replace(SITES["lyon"], state=SiteState.DRAINING))


def test_a_site_is_the_same_as_long_as_it_has_a_key_of_before() -> None:
    joined = replace(SITES["lyon"], keys=(OLD,))

    assert not is_another(joined, replace(joined, keys=(NEW, OLD), labels={"tier": "far"}))
    assert is_another(joined, None)
    assert is_another(joined, replace(joined, keys=()))
    assert is_another(joined, replace(joined, keys=(NEW,)))
    assert not is_another(replace(joined, keys=()), joined)


def test_who_is_let_in() -> None:
    site = replace(SITES["lyon"], keys=(NEW, OLD), keyed_at=NOW)

    check_admitted(site, "lyon", NEW, NOW)
    check_admitted(site, "lyon", None, NOW)
    check_admitted(replace(site, state=SiteState.DRAINING), "lyon", NEW, NOW)


def test_an_older_key_is_let_in_for_a_little_while() -> None:
    site = replace(SITES["lyon"], keys=(NEW, OLD), keyed_at=NOW)

    check_admitted(site, "lyon", OLD, NOW + GRACE)
    with pytest.raises(Forbidden, match="replaced by a newer one"):
        check_admitted(site, "lyon", OLD, NOW + GRACE + timedelta(seconds=1))


@pytest.mark.parametrize("state", [SiteState.INVITED, SiteState.REVOKED])
def test_who_is_not_a_member_is_not_let_in(state: SiteState) -> None:
    with pytest.raises(Forbidden, match=f"is {state}"):
        check_admitted(replace(SITES["lyon"], keys=(NEW,), state=state), "lyon", NEW, NOW)


def test_a_stranger_is_not_let_in() -> None:
    with pytest.raises(Forbidden, match="not known"):
        check_admitted(None, "lyon", NEW, NOW)
    with pytest.raises(Forbidden, match="not the key"):
        check_admitted(replace(SITES["lyon"], keys=(NEW,)), "lyon", OLD, NOW)
