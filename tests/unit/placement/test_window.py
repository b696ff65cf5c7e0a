"""A window of the day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.placement.window import Window

HOUR = 3600.0


def test_a_window_is_open_from_its_start_to_before_its_end() -> None:
    window = Window.parse("09:00-17:30")
    assert not window.is_open(9 * HOUR - 1)
    assert window.is_open(9 * HOUR)
    assert window.is_open(17.5 * HOUR - 1)
    assert not window.is_open(17.5 * HOUR)


def test_a_window_may_go_past_midnight() -> None:
    window = Window.parse("22:00-06:00")
    assert window.is_open(23 * HOUR)
    assert window.is_open(24 * HOUR)
    assert window.is_open(5 * HOUR)
    assert not window.is_open(12 * HOUR)
    assert window.opens(12 * HOUR) == 22 * HOUR
    assert window.closes(23 * HOUR) == 30 * HOUR


def test_a_window_may_be_by_a_clock_east_or_west_of_utc() -> None:
    assert Window.parse("01:00-03:00 +02:00").is_open(23 * HOUR)
    assert Window.parse("22:00-23:00 -05:00").is_open(3.5 * HOUR)


def test_a_window_until_midnight_can_be_written_as_people_do() -> None:
    window = Window.parse("20:00-24:00")
    assert window.is_open(24 * HOUR - 1)
    assert not window.is_open(24 * HOUR)


@pytest.mark.parametrize(
    "text", ["22-06", "25:00-06:00", "22:61-06:00", "06:00-06:00", "00:00-24:00", "x", ""]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|time of day|length"):
        Window.parse(text)


windows = st.builds(
    lambda start, length, offset: Window(start * 60, (start + length) % 1440 * 60, offset * 900),
    st.integers(0, 1439),
    st.integers(1, 1439),
    st.integers(-56, 56),
)


@given(windows)
def test_a_window_that_is_written_and_read_again_is_the_same(window: Window) -> None:
    assert Window.parse(str(window)) == window


@given(windows, st.integers(0, 10**9))
def test_it_changes_exactly_when_it_says(window: Window, now: int) -> None:
    opens, closes = window.opens(now), window.closes(now)
    assert now < min(opens, closes)
    assert max(opens, closes) <= now + 86400
    assert window.is_open(opens)
    assert not window.is_open(opens - 1)
    assert not window.is_open(closes)
    assert window.is_open(closes - 1)
    assert window.is_open(now) == (closes < opens)
