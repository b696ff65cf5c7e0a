"""What one site writes down the other reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.feed import lines
from skerry.core.feed.entry import Channel, Stream
from skerry.core.feed.journal import Place, Standing
from skerry.core.feed.lines import Receipt
from skerry.core.feed.offer import has_newer_head, lacks
from tests.unit.feed.ledger import Follower, Home

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
STREAMS = st.builds(Stream, NAMES, st.sampled_from(Channel))
COUNTS = st.integers(0, (1 << 63) - 1)
PLACES = st.dictionaries(STREAMS, st.builds(Place, COUNTS, COUNTS, st.booleans(), COUNTS), max_size=5)


@given(PLACES)
def test_places_come_out_as_they_went_in(places: dict[Stream, Place]) -> None:
    read = lines.places_from_query(lines.places_to_query(places))
    assert read == places
    assert {s: p.as_of for s, p in read.items()} == {s: p.as_of for s, p in places.items()}


@given(PLACES, st.dictionaries(STREAMS, st.text(max_size=5), max_size=2), st.lists(st.text(), max_size=2))
def test_a_receipt_comes_out_as_it_went_in(
    places: dict[Stream, Place], refused: dict[Stream, str], wants: list[str]
) -> None:
    receipt = Receipt(places, refused, wants)
    assert Receipt.from_wire(receipt.to_wire()) == receipt


@pytest.mark.parametrize(
    "text", ["centre", "centre:1", "centre:1:2", "centre:1:2:x", ":1:2:3", "a:-1:2:3", "a:1:2:²"]
)
def test_a_place_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        lines.places_from_query(text)


def test_a_page_comes_out_as_it_went_in() -> None:
    home = Home()
    for number in range(5):
        home.write(f"image-{number}", {"text": "ä\u2028\n"}, urgent=number > 3)
    page = home.give(Place(), most=2, may_read=lambda row: row.id != "image-1")
    assert page.urgent
    assert list(lines.decode(lines.encode(page).splitlines())) == [page]


def test_a_follower_lacks_something_until_it_is_where_its_source_is() -> None:
    home = Home()
    follower = Follower(home)
    assert not lacks(follower.standing, Place()), "who knows nothing has nothing to give"
    assert lacks(home.standing, follower.place)
    follower.follow(home)
    assert not lacks(home.standing, follower.place)
    assert not has_newer_head(home.standing, follower.place)
    assert has_newer_head(home.standing, Place(1, 0))

    home.write("image", {})
    assert lacks(home.standing, follower.place)
    assert lacks(follower.standing, Place(1, 5)), "who is further hears of it, and notices"


def test_half_a_stream_is_no_reason_to_call_those_who_have_more() -> None:
    home = Home()
    for number in range(5):
        home.write(f"image-{number}", {})
    follower = Follower(home)
    follower.take(home.give(follower.place, most=2))
    assert not follower.standing.whole
    assert lacks(follower.standing, Place())
    assert not lacks(follower.standing, Place(1, 4))
    assert not lacks(Standing(Stream("centre")), Place(1, 4))
