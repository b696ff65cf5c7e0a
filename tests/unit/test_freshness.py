"""How long a record that was learned from upstream may be used."""

from datetime import UTC, datetime

import pytest

from skerry.core.freshness import Freshness, Staleness, judge


@pytest.mark.parametrize(
    ("age", "ttl", "verdict"),
    [
        (0.0, 60, Freshness.USE),
        (59.9, 60, Freshness.USE),
        (60.0, 60, Freshness.CHECK),
        (3600.0, 60, Freshness.CHECK),
        (3600.1, 60, Freshness.CHECK_OR_REFUSE),
        (None, 60, Freshness.CHECK_OR_REFUSE),
        (0.0, 0, Freshness.CHECK),
        (-5.0, 60, Freshness.CHECK),
    ],
)
def test_a_record_is_used_then_checked_then_refused_as_it_ages(
    age: float | None, ttl: float, verdict: Freshness
) -> None:
    assert judge(age, ttl=ttl, max_stale=3600) is verdict


def test_how_old_an_answer_is_survives_the_way_to_the_next_site() -> None:
    said = Staleness(datetime(2026, 1, 31, 12, tzinfo=UTC), 'away since "noon", é')
    assert Staleness.from_wire(said.to_wire()) == Staleness(said.as_of, "away since 'noon', ?")


@pytest.mark.parametrize(
    "text", ["", 'as-of=yesterday; reason="x"', "as-of=2026-01-31T12:00:00Z", "x" * 9000]
)
def test_an_age_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Staleness.from_wire(text)
