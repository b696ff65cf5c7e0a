"""The arithmetic of a slow link."""

import random

import pytest

from skerry.core.units import Rate
from skerry.lab.shape import Lane, Shape


def lane(rate: str | None = None, delay: float = 0.0) -> Lane:
    made = Lane()
    made.shape = Shape(Rate.parse(rate) if rate else None, delay)
    return made


def test_without_a_rate_bytes_leave_at_once() -> None:
    passage = lane().send(10**9, now=5.0)
    assert (passage.left, passage.arrives) == (5.0, 5.0)


def test_delay_comes_after_leaving() -> None:
    passage = lane("8Mbit", delay=0.05).send(1_000_000, now=5.0)
    assert passage.left == pytest.approx(6.0, abs=0.021)
    assert passage.arrives == pytest.approx(passage.left + 0.05)


def test_bytes_of_several_connections_leave_one_after_the_other() -> None:
    shared = lane("8Mbit")
    first = shared.send(500_000, now=0.0)
    second = shared.send(500_000, now=0.0)
    assert second.left - first.left == pytest.approx(0.5)


def test_an_idle_link_saves_up_no_more_than_20_ms() -> None:
    idle = lane("8Mbit")
    idle.send(1000, now=0.0)
    assert idle.send(1_000_000, now=100.0).left == pytest.approx(100.98)


@pytest.mark.parametrize("rate", ["512kbit", "20Mbit", "1Gbit"])
def test_senders_that_wake_late_still_get_the_rate(rate: str) -> None:
    chance = random.Random(1)
    slow = lane(rate)
    now, sent = 0.0, 0
    while now < 10.0:
        size = slow.shape.quantum
        left = slow.send(size, now).left
        if left > now:
            now = left + chance.uniform(0.0, 0.002)
        sent += size
    assert sent * 8 / now == pytest.approx(Rate.parse(rate), rel=0.01)


def test_a_new_rate_counts_from_the_next_bytes_on() -> None:
    changed = lane("8Mbit")
    now = changed.send(100_000, now=0.0).left
    changed.shape = Shape(Rate.parse("80Mbit"))
    assert changed.send(1_000_000, now).left - now == pytest.approx(0.1, abs=0.021)


@pytest.mark.parametrize(
    ("rate", "quantum"), [(None, 65536), ("1kbit", 1500), ("20Mbit", 25000), ("10Gbit", 65536)]
)
def test_bytes_go_in_pieces_of_10_ms_at_most_64_kib(rate: str | None, quantum: int) -> None:
    assert lane(rate).shape.quantum == quantum


def test_a_shape_says_what_it_is() -> None:
    assert str(Shape()) == "unlimited, 0 ms each way"
    assert str(Shape(Rate.parse("20Mbit"), 0.05)) == "20 Mbit/s, 50 ms each way"
