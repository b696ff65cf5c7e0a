"""What failed is tried again, later each time."""

from skerry.core.retries import Backoff, Retries


def test_the_pause_doubles_with_each_failure_up_to_the_longest() -> None:
    retries = Retries(first=30, longest=100)
    waits = []
    for _ in range(4):
        retries.failed("a", 1000)
        waits.append(retries.wait(1000))
    assert waits == [30, 60, 100, 100]


def test_it_is_due_when_the_pause_is_over_and_what_never_failed_is_due_at_once() -> None:
    retries = Retries(first=30, longest=100)
    retries.failed("a", 1000)
    assert [retries.due("a", now) for now in (1000, 1029, 1030)] == [False, False, True]
    assert retries.due("b", 1000)


def test_what_went_well_or_is_wanted_now_begins_anew() -> None:
    retries = Retries(first=30, longest=100)
    retries.failed("a", 1000)
    retries.failed("a", 1000)
    retries.forget("a")
    assert retries.due("a", 1000)
    retries.failed("a", 1000)
    assert retries.wait(1000) == 30


def test_the_next_to_wait_for_is_the_first_that_is_not_due_yet() -> None:
    retries = Retries(first=30, longest=100)
    assert retries.wait(1000) is None
    retries.failed("a", 1000)
    retries.failed("b", 1010)
    assert [retries.wait(now) for now in (1010, 1030, 1040)] == [20, 10, None]


def test_pauses_are_drawn_from_a_range_that_doubles_up_to_the_longest_one() -> None:
    backoff = Backoff(first=1, longest=8)
    for bound in (1, 2, 4, 8, 8, 8):
        assert 0 <= backoff.failed() <= bound
    assert 30 <= backoff.failed(at_least=30) <= 38
    backoff.succeeded()
    assert max(Backoff(first=1, longest=8).failed() for _ in range(100)) <= 1
    assert backoff.failed() <= 1


def test_no_two_sites_come_back_at_the_same_moment() -> None:
    assert len({Backoff(first=1, longest=8).failed() for _ in range(100)}) > 90
