"""A follower has what the home has, whatever happens on the way."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from skerry.core.feed.journal import Row, Trouble
from tests.unit.feed.ledger import LIFETIME, NOW, Follower, Home


def test_a_follower_has_what_the_home_has_page_by_page() -> None:
    home = Home()
    follower = Follower(home)
    for number in range(25):
        home.write(f"image-{number}", {"name": f"number {number}"})

    follower.follow(home, most=4)

    assert follower.documents() == home.documents()
    assert follower.standing.digest == home.standing.digest
    assert follower.standing.judged(NOW) is None


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 5), st.booleans()),
            st.tuples(st.just("delete"), st.integers(0, 5), st.booleans()),
            st.tuples(st.sampled_from(["region", "edge", "prune", "anew"]), st.just(0), st.just(False)),
        ),
        max_size=40,
    ),
    most=st.integers(1, 4),
)
def test_an_edge_below_a_region_has_what_the_home_has_after_any_history(
    steps: list[tuple[str, int, bool]], most: int
) -> None:
    home = Home()
    region = Follower(home)
    edge = Follower(home)
    for count, (what, number, urgent) in enumerate(steps):
        if what == "write":
            home.write(f"image-{number}", {"count": count}, urgent=urgent)
        elif what == "delete" and f"image-{number}" in home.documents():
            home.write(f"image-{number}", None, urgent=True)
        elif what == "prune":
            home.prune()
        elif what == "anew":
            home.begin_anew()
        elif what == "region":
            region.follow(home, most=most)
        elif what == "edge":
            edge.follow(region, most=most)

    region.follow(home, most=most)
    edge.follow(region, most=most)

    assert edge.documents() == region.documents() == home.documents()


def test_what_takes_something_away_arrives_before_anything_else() -> None:
    home = Home()
    follower = Follower(home)
    home.write("doomed", {})
    follower.follow(home)
    for number in range(10):
        home.write(f"image-{number}", {})
    home.write("doomed", None, urgent=True)

    follower.take(home.give(follower.place, most=2))

    assert "doomed" not in follower.documents()
    assert len(follower.documents()) == 2
    follower.follow(home, most=2)
    assert follower.documents() == home.documents()


def test_a_page_that_comes_twice_or_too_late_changes_nothing() -> None:
    home = Home()
    follower = Follower(home)
    home.write("image", {"number": 1})
    first = home.give(follower.place)
    follower.take(first)
    home.write("image", {"number": 2})
    second = home.give(follower.place)
    follower.take(second)
    before = follower.standing, dict(follower.rows)

    for repeated in (first, second, first):
        follower.take(repeated)

    assert (follower.standing, follower.rows) == before
    assert follower.standing.trouble is None


def test_a_follower_that_was_away_while_tombstones_were_pruned_forgets_what_is_no_more() -> None:
    home = Home()
    follower = Follower(home)
    home.write("stays", {})
    home.write("goes", {})
    follower.follow(home)
    home.write("goes", None)
    home.write("comes", {})
    home.prune()

    follower.follow(home)

    assert set(follower.documents()) == {"stays", "comes"}


def test_what_a_follower_may_not_read_is_summed_up_all_the_same() -> None:
    home = Home()
    follower = Follower(home)

    def may_read(row: Row) -> bool:
        return row.signed is None or "secret" not in row.signed.text

    home.write("open", {"name": "open"})
    home.write("closed", {"name": "secret"})
    follower.follow(home, may_read=may_read)
    assert set(follower.documents()) == {"open"}
    assert follower.standing.digest == home.standing.digest

    home.write("open", {"name": "secret now"})
    follower.follow(home, may_read=may_read)
    assert follower.documents() == {}
    assert follower.changes[-1].id == "open"
    assert follower.changes[-1].entry is None


def test_a_home_that_vouches_for_nothing_any_more_is_noticed_when_its_word_expires() -> None:
    home = Home()
    follower = Follower(home)
    home.write("image", {})
    follower.follow(home)

    assert follower.standing.judged(NOW + LIFETIME) is None
    assert follower.standing.judged(NOW + LIFETIME + timedelta(seconds=1)) is Trouble.WITHHELD
