"""Who may see an image at all."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from skerry.core import rights
from skerry.core.caller import Caller
from skerry.core.image import Image, Visibility
from skerry.core.query import Scope

NOW = datetime(2026, 11, 23, tzinfo=UTC)
IMAGE = Image(id="4b9a", created_at=NOW, updated_at=NOW, owner="lab")
OWNER = Caller("ann", "lab")
OTHER = Caller("bob", "shop")
NOBODY = Caller("eve", None)
ADMIN = Caller("root", None, is_admin=True)


def of(visibility: Visibility) -> Image:
    return replace(IMAGE, visibility=visibility)


@pytest.mark.parametrize("visibility", Visibility)
def test_owners_and_administrators_see_an_image_whatever_its_visibility(visibility: Visibility) -> None:
    assert rights.visible(OWNER, of(visibility))
    assert rights.visible(ADMIN, of(visibility))


@pytest.mark.parametrize("visibility", [Visibility.PUBLIC, Visibility.COMMUNITY])
def test_everybody_sees_public_and_community_images(visibility: Visibility) -> None:
    assert rights.visible(OTHER, of(visibility))
    assert rights.visible(NOBODY, of(visibility))


def test_a_shared_image_is_seen_by_members_alone() -> None:
    image = of(Visibility.SHARED)
    assert rights.visible(OTHER, image, is_member=True)
    assert not rights.visible(OTHER, image)
    assert not rights.visible(NOBODY, image, is_member=True)


def test_members_left_over_from_sharing_do_not_see_a_private_image() -> None:
    assert not rights.visible(OTHER, of(Visibility.PRIVATE), is_member=True)


def test_an_image_without_an_owner_is_seen_by_everybody() -> None:
    assert rights.visible(OTHER, replace(IMAGE, visibility=Visibility.PRIVATE, owner=None))


@pytest.mark.parametrize("caller", [OWNER, OTHER, NOBODY, ADMIN])
@pytest.mark.parametrize("owner", ["lab", None])
@pytest.mark.parametrize("visibility", Visibility)
def test_members_need_no_look_up_where_they_make_no_difference(
    caller: Caller, owner: str | None, visibility: Visibility
) -> None:
    image = replace(IMAGE, visibility=visibility, owner=owner)
    if rights.visible(caller, image, is_member=True) != rights.visible(caller, image, is_member=False):
        assert rights.needs_membership(caller, image)


def test_a_list_is_seen_with_the_eyes_of_the_callers_project() -> None:
    assert rights.scope(OTHER) == Scope(project_id="shop", is_admin=False)
    assert rights.scope(ADMIN) == Scope(project_id=None, is_admin=True)
