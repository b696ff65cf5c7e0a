"""The owner offers, the other project answers, an administrator does both."""

from datetime import UTC, datetime

import pytest

from skerry.core import sharing
from skerry.core.caller import Caller
from skerry.core.errors import Forbidden
from skerry.core.image import Image, Member, MemberStatus, Visibility

NOW = datetime(2026, 1, 31, tzinfo=UTC)
IMAGE = Image(id="a7a1a5e0-0000-4000-8000-000000000001", created_at=NOW, updated_at=NOW, owner="north")
OWNER, MEMBER, OTHER = (Caller(name, name) for name in ("north", "south", "west"))
ADMIN = Caller("admin", "admin", is_admin=True)
NOBODY = Caller("nobody", None)


@pytest.mark.parametrize("caller", [OWNER, ADMIN])
def test_the_owner_and_an_administrator_share(caller: Caller) -> None:
    sharing.check_may_share(caller, IMAGE)


@pytest.mark.parametrize("caller", [MEMBER, OTHER, NOBODY])
def test_nobody_else_shares(caller: Caller) -> None:
    with pytest.raises(Forbidden):
        sharing.check_may_share(caller, IMAGE)


@pytest.mark.parametrize("caller", [MEMBER, ADMIN])
def test_the_member_and_an_administrator_answer(caller: Caller) -> None:
    sharing.check_may_answer(caller, IMAGE, "south")


@pytest.mark.parametrize("caller", [OWNER, OTHER, NOBODY])
def test_nobody_else_answers(caller: Caller) -> None:
    with pytest.raises(Forbidden):
        sharing.check_may_answer(caller, IMAGE, "south")


@pytest.mark.parametrize("visibility", [each for each in Visibility if each is not Visibility.SHARED])
def test_only_shared_images_have_members(visibility: Visibility) -> None:
    image = Image(id=IMAGE.id, created_at=NOW, updated_at=NOW, owner="north", visibility=visibility)
    with pytest.raises(Forbidden, match="Only shared images have members"):
        sharing.check_may_share(ADMIN, image)


def test_who_does_not_own_the_image_sees_no_other_members() -> None:
    members = [Member(IMAGE.id, name, MemberStatus.PENDING, NOW, NOW) for name in ("south", "west")]
    assert sharing.shown(OWNER, IMAGE, members) == members
    assert sharing.shown(ADMIN, IMAGE, members) == members
    assert sharing.shown(MEMBER, IMAGE, members) == members[:1]
    assert sharing.shown(NOBODY, IMAGE, members) == []
