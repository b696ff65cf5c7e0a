"""How a record follows its bytes on their way in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from skerry.core import receiving
from skerry.core.errors import Conflict, InvalidInput
from skerry.core.image import Image, Status
from skerry.core.receiving import Contents

NOW = datetime(2026, 11, 23, tzinfo=UTC)
QUEUED = Image("i", NOW, NOW, disk_format="raw", container_format="bare")
CONTENTS = Contents(size=5, md5="m" * 32, sha512="s" * 128, virtual_size=7)

Rule = Callable[[Image], Image]

BEGINNINGS: dict[str, tuple[Rule, Status, Status]] = {
    "upload": (receiving.saving, Status.QUEUED, Status.SAVING),
    "stage": (receiving.staging, Status.QUEUED, Status.UPLOADING),
    "web-download": (
        lambda image: receiving.importing(image, "web-download"),
        Status.QUEUED,
        Status.IMPORTING,
    ),
    "glance-direct": (
        lambda image: receiving.importing(image, "glance-direct"),
        Status.UPLOADING,
        Status.IMPORTING,
    ),
}


@pytest.mark.parametrize("name", BEGINNINGS)
@pytest.mark.parametrize("status", list(Status))
def test_bytes_begin_to_come_from_one_status_alone(name: str, status: Status) -> None:
    rule, origin, to = BEGINNINGS[name]
    if status is origin:
        assert rule(replace(QUEUED, status=status)).status is to
    else:
        with pytest.raises(Conflict):
            rule(replace(QUEUED, status=status))


def test_an_upload_needs_both_formats() -> None:
    with pytest.raises(InvalidInput, match="Property disk_format must be set prior to saving data"):
        receiving.saving(replace(QUEUED, disk_format=None))
    with pytest.raises(InvalidInput, match="Properties disk_format, container_format must be set"):
        receiving.saving(replace(QUEUED, disk_format=None, container_format=None))


def test_bytes_that_are_here_describe_the_image() -> None:
    image = receiving.active(replace(QUEUED, status=Status.SAVING), CONTENTS)
    assert (image.status, image.size, image.virtual_size) == (Status.ACTIVE, 5, 7)
    assert (image.checksum, image.os_hash_algo, image.os_hash_value) == ("m" * 32, "sha512", "s" * 128)


def test_an_image_that_is_gone_back_on_says_nothing_of_bytes() -> None:
    staged = receiving.staged(replace(QUEUED, status=Status.UPLOADING), CONTENTS)
    assert receiving.given_up(staged) == QUEUED


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.DEACTIVATED])
def test_an_image_with_data_is_never_given_up(status: Status) -> None:
    image = receiving.active(replace(QUEUED, status=Status.SAVING), CONTENTS)
    image = replace(image, status=status)
    assert receiving.given_up(image) == image


@pytest.mark.parametrize(
    ("status", "staged", "then"),
    [
        (Status.SAVING, False, Status.QUEUED),
        (Status.SAVING, True, Status.QUEUED),
        (Status.UPLOADING, False, Status.QUEUED),
        (Status.UPLOADING, True, Status.UPLOADING),
        (Status.IMPORTING, False, Status.QUEUED),
        (Status.IMPORTING, True, Status.UPLOADING),
    ],
)
def test_after_a_crash_nothing_moves(status: Status, staged: bool, then: Status) -> None:
    assert receiving.recovered(replace(QUEUED, status=status), staged=staged).status is then


def test_a_failed_import_of_staged_bytes_leaves_them_staged() -> None:
    assert receiving.staged_again(replace(QUEUED, status=Status.IMPORTING)).status is Status.UPLOADING
    assert receiving.staged_again(QUEUED) == QUEUED
