"""What may be done to an image as a whole."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from skerry.core import actions
from skerry.core.attributes import Bounds
from skerry.core.errors import Forbidden, NotFound, TooLarge
from skerry.core.image import Image, Status

NOW = datetime(2026, 1, 31, tzinfo=UTC)
IMAGE = Image(
    id="a7a1a5e0-0000-4000-8000-000000000001",
    created_at=NOW,
    updated_at=NOW,
    status=Status.ACTIVE,
    tags=frozenset({"a"}),
)
BOUNDS = Bounds(properties=1, tags=1, disk_formats=(), container_formats=())
WITHOUT_BYTES = [Status.QUEUED, Status.SAVING, Status.UPLOADING, Status.IMPORTING]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.DELETED])
def test_an_image_is_deleted_from_any_status(status: Status) -> None:
    assert actions.delete(replace(IMAGE, status=status)).status is Status.DELETED


def test_a_protected_image_is_not_deleted() -> None:
    with pytest.raises(Forbidden, match="is protected and cannot be deleted"):
        actions.delete(replace(IMAGE, protected=True))


def test_an_image_goes_out_of_use_and_comes_back() -> None:
    away = actions.deactivate(IMAGE)
    assert away.status is Status.DEACTIVATED
    assert actions.deactivate(away) == away
    assert actions.reactivate(away) == IMAGE
    assert actions.reactivate(IMAGE) == IMAGE


@pytest.mark.parametrize("status", WITHOUT_BYTES)
@pytest.mark.parametrize("rule", [actions.deactivate, actions.reactivate])
def test_an_image_without_bytes_is_neither_deactivated_nor_reactivated(
    rule: Callable[[Image], Image], status: Status
) -> None:
    with pytest.raises(Forbidden, match=f"image in status '{status}'"):
        rule(replace(IMAGE, status=status))


def test_tags_come_and_go_within_their_limit() -> None:
    assert actions.add_tag(IMAGE, "a", BOUNDS) == IMAGE
    with pytest.raises(TooLarge):
        actions.add_tag(IMAGE, "b", BOUNDS)
    assert actions.remove_tag(IMAGE, "a").tags == frozenset()
    with pytest.raises(NotFound):
        actions.remove_tag(IMAGE, "b")
