"""How fast a line is."""

from skerry.core.meter import Meter


def test_a_line_that_carried_nothing_has_no_rate() -> None:
    meter = Meter()
    meter.passed(100, 5.0)
    assert meter.rate is None


def test_a_steady_stream_has_its_rate() -> None:
    meter = Meter()
    for tenth in range(11):
        meter.passed(1000, tenth / 8)
    assert meter.rate == 8000


def test_silence_is_no_slowness() -> None:
    meter = Meter()
    for start in (0.0, 100.0):
        for tenth in range(5):
            meter.passed(1000, start + tenth / 8)
    assert meter.rate == 8000


def test_the_last_measurement_counts() -> None:
    meter = Meter()
    for eighth in range(5):
        meter.passed(1000, eighth / 8)
    for eighth in range(5, 10):
        meter.passed(500, eighth / 8)
    assert meter.rate == 4000
