"""Which bytes of an image a request asks for."""

import pytest

from skerry.core.errors import InvalidInput, RangeNotSatisfiable
from skerry.core.ranges import requested


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 4)),
        ("bytes=2-", (2, 8)),
        ("bytes=-3", (7, 3)),
        ("bytes=-30", (0, 10)),
        ("bytes=5-500", (5, 5)),
        ("Bytes = 1 - 2", (1, 2)),
        (None, None),
    ],
)
def test_one_range_is_cut_to_the_image(header: str | None, expected: tuple[int, int] | None) -> None:
    assert requested(header, 10) == expected


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=5-4", "bytes=-0", "bytes=-", "items=0-1", "bytes=a-b", ""]
)
def test_what_cannot_be_served_is_refused_with_the_size(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        requested(header, 10)
    assert refused.value.size == 10


def test_several_ranges_are_bad_input() -> None:
    with pytest.raises(InvalidInput):
        requested("bytes=0-1,3-4", 10)


def test_an_empty_image_has_no_range() -> None:
    with pytest.raises(RangeNotSatisfiable):
        requested("bytes=0-", 0)


def test_content_range_in_a_request_is_taken_as_glance_takes_it() -> None:
    assert requested(None, 10, content_range="bytes 2-5/10") == (2, 4)
    assert requested("bytes=0-1", 10, content_range="bytes 2-5/10") == (0, 2)
    with pytest.raises(RangeNotSatisfiable):
        requested(None, 10, content_range="bytes 2-50/*")
