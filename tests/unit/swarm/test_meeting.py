"""Where sites find each other."""

from itertools import pairwise

import pytest

from skerry.core.swarm.meeting import Meeting


def test_sites_that_ask_for_one_image_hear_of_each_other_and_of_nobody_else() -> None:
    meeting = Meeting()
    for site in ("lyon", "metz", "nice"):
        meeting.join("image", "index", site, 0.0)
    meeting.join("other", "index", "brest", 0.0)
    meeting.join("image", "older", "brest", 0.0)
    assert set(meeting.others("image", "index", "lyon")) == {"metz", "nice"}
    assert meeting.others("image", "older", "brest") == []
    assert meeting.others("nothing", "index", "lyon") == []


def test_a_site_that_has_said_nothing_for_a_minute_is_forgotten() -> None:
    meeting = Meeting()
    meeting.join("image", "index", "lyon", 0.0)
    meeting.join("image", "index", "metz", 50.0)
    meeting.join("image", "index", "nice", 61.0)
    assert meeting.others("image", "index", "nice") == ["metz"]
    meeting.join("image", "index", "nice", 300.0)
    assert meeting.others("image", "index", "nice") == []


def test_sites_begin_far_from_each_other_and_each_where_it_began_before() -> None:
    meeting = Meeting()
    starts = [meeting.join("image", "index", f"site-{number}", 0.0) for number in range(8)]
    assert starts[0] == 0.0
    between = sorted([*starts, 1.0])
    assert min(b - a for a, b in pairwise(between)) > 0.05
    assert meeting.join("image", "index", "site-3", 30.0) == pytest.approx(starts[3])


def test_the_memory_of_meetings_is_bounded() -> None:
    meeting = Meeting()
    for number in range(5000):
        meeting.join(f"image-{number}", "index", "lyon", 0.0)
    meeting.join("image-4999", "index", "metz", 0.0)
    assert meeting.others("image-4999", "index", "metz") == ["lyon"]
    assert meeting.others("image-0", "index", "metz") == []


def test_a_site_that_gives_nothing_hears_of_others_and_is_not_named() -> None:
    meeting = Meeting()
    meeting.join("image", "index", "lyon", 0.0)
    meeting.join("image", "index", "metz", 0.0, gives=False)
    assert meeting.others("image", "index", "metz") == ["lyon"]
    assert meeting.others("image", "index", "lyon") == []
    meeting.join("image", "index", "metz", 1.0)
    assert meeting.others("image", "index", "lyon") == ["metz"]
