"""Which copies make room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.copy import Copy, CopyState
from skerry.core.errors import NoSpace
from skerry.core.eviction import make_room, occupied


def copy(name: str, size: int, used: float, *, cached: bool = True, pinned: bool = False) -> Copy:
    return Copy(name, CopyState.COMPLETE, size=size, last_used=used, cached=cached, pinned=pinned)


def test_the_least_recently_used_goes_first() -> None:
    copies = [copy("new", 10, 3), copy("old", 10, 1), copy("middle", 10, 2)]
    assert make_room(copies, 15, limit=30, busy=()) == ["old", "middle"]


def test_nothing_goes_while_there_is_room() -> None:
    assert make_room([copy("a", 10, 1)], 20, limit=30, busy=()) == []


def test_what_is_pinned_or_read_or_at_home_here_stays() -> None:
    copies = [
        copy("pinned", 10, 1, pinned=True),
        copy("read", 10, 2),
        copy("own", 10, 3, cached=False),
        copy("x", 10, 4),
    ]
    assert make_room(copies, 10, limit=30, busy={"read"}) == ["x"]


def test_when_it_cannot_be_done_nothing_is_evicted_and_the_error_says_what_to_do() -> None:
    with pytest.raises(NoSpace, match="unpin"):
        make_room([copy("pinned", 10, 1, pinned=True), copy("x", 10, 2)], 15, limit=20, busy=())


def test_a_partial_copy_counts_whole_and_a_queued_one_not_at_all() -> None:
    partial = Copy("p", CopyState.PARTIAL, size=7, cached=True)
    queued = Copy("q", CopyState.QUEUED, size=9, cached=True)
    assert occupied([partial, queued]) == 7


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0, 9), st.booleans(), st.booleans())),
    st.integers(0, 100),
    st.integers(0, 200),
)
def test_the_limit_holds_after_every_eviction(
    drawn: list[tuple[int, float, bool, bool]], need: int, limit: int
) -> None:
    copies = [copy(str(i), size, used, pinned=pin) for i, (size, used, pin, _) in enumerate(drawn)]
    busy = {str(i) for i, (_, _, _, read) in enumerate(drawn) if read}
    try:
        gone = set(make_room(copies, need, limit=limit, busy=busy))
    except NoSpace:
        kept = [c for c in copies if c.pinned or c.image_id in busy]
        assert occupied(kept) + need > limit
    else:
        assert not gone & (busy | {c.image_id for c in copies if c.pinned})
        assert occupied([c for c in copies if c.image_id not in gone]) + need <= limit
