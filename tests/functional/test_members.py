"""Sharing: the owner offers, the other project answers."""

from pathlib import Path

import pytest

from tests.functional.people import Peopled, peopled


@pytest.fixture
async def path(site: Peopled) -> str:
    """The members of an image of alice's, shared with bob."""
    image = await site.alice.create(name="offer")
    path = f"/v2/images/{image['id']}/members"
    answer = await site.alice.send("POST", path, {"member": "bob"})
    assert (answer.status, answer.json["status"]) == (200, "pending")
    return path


async def test_an_offered_image_is_listed_once_it_is_accepted(site: Peopled, path: str) -> None:
    assert await site.bob.names() == []
    assert await site.bob.names("?visibility=shared&member_status=pending") == ["offer"]
    answer = await site.bob.send("PUT", f"{path}/bob", {"status": "accepted"})
    assert (answer.status, answer.json["status"]) == (200, "accepted")
    assert await site.bob.names() == ["offer"]
    assert await site.carol.names("?visibility=all&member_status=all") == []


async def test_a_member_sees_the_image_and_cannot_change_it(site: Peopled, path: str) -> None:
    image = path.removesuffix("/members")
    assert (await site.bob.get(image)).status == 200
    assert (await site.bob.send("DELETE", image)).status == 403
    assert (await site.carol.get(image)).status == 404


async def test_a_member_sees_only_itself_among_the_members(site: Peopled, path: str) -> None:
    await site.alice.send("POST", path, {"member": "carol"})
    assert [member["member_id"] for member in (await site.alice.get(path)).json["members"]] == [
        "bob",
        "carol",
    ]
    assert [member["member_id"] for member in (await site.bob.get(path)).json["members"]] == ["bob"]
    assert (await site.bob.get(f"{path}/bob")).status == 200
    assert (await site.bob.get(f"{path}/carol")).status == 404


async def test_only_the_owner_shares_and_only_the_member_answers(site: Peopled, path: str) -> None:
    assert (await site.bob.send("POST", path, {"member": "carol"})).status == 403
    assert (await site.bob.send("DELETE", f"{path}/bob")).status == 403
    assert (await site.alice.send("PUT", f"{path}/bob", {"status": "accepted"})).status == 403
    assert (await site.admin.send("PUT", f"{path}/bob", {"status": "accepted"})).status == 200


async def test_an_image_is_shared_once_with_a_project(site: Peopled, path: str) -> None:
    assert (await site.alice.send("POST", path, {"member": "bob"})).status == 409


async def test_a_removed_member_sees_the_image_no_more(site: Peopled, path: str) -> None:
    assert (await site.alice.send("DELETE", f"{path}/bob")).status == 204
    assert (await site.alice.send("DELETE", f"{path}/bob")).status == 404
    assert (await site.bob.get(path.removesuffix("/members"))).status == 404


async def test_only_shared_images_have_members(site: Peopled) -> None:
    image = await site.alice.create(visibility="private")
    path = f"/v2/images/{image['id']}/members"
    assert (await site.alice.send("POST", path, {"member": "bob"})).status == 403
    assert (await site.alice.get(path)).status == 403
    assert (await site.alice.get(f"{path}/bob")).status == 404


@pytest.mark.parametrize("body", [{}, {"member": ""}, {"member": 7}, ["bob"], {"member": "x" * 256}])
async def test_a_member_has_to_be_named(site: Peopled, path: str, body: object) -> None:
    assert (await site.alice.send("POST", path, body)).status == 400


@pytest.mark.parametrize("body", [{}, {"status": "perhaps"}, {"status": ["accepted"]}, ["accepted"]])
async def test_an_answer_has_to_be_one(site: Peopled, path: str, body: object) -> None:
    assert (await site.bob.send("PUT", f"{path}/bob", body)).status == 400


async def test_there_is_a_limit_on_members(tmp_path: Path) -> None:
    async with peopled(tmp_path, limits={"members": 2}) as site:
        path = f"/v2/images/{(await site.alice.create())['id']}/members"
        statuses = [(await site.alice.send("POST", path, {"member": name})).status for name in "abc"]
    assert statuses == [200, 200, 413]
