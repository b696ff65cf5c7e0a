"""Lists over HTTP: pages, links, scopes. What each filter selects is the catalogue's to prove."""

import pytest

from tests.functional.people import Peopled


async def test_pages_are_walked_by_their_links(site: Peopled) -> None:
    for number in range(5):
        await site.alice.create(name=str(number), tags=["a b"])
    path: str | None = "/v2/images?limit=2&tag=a%20b&sort=name:asc"
    first = path
    seen = []
    while path is not None:
        page = (await site.alice.get(path)).json
        seen.append([image["name"] for image in page["images"]])
        assert page["schema"] == "/v2/schemas/images"
        assert [image["name"] for image in (await site.alice.get(page["first"])).json["images"]] == ["0", "1"]
        path = page.get("next")
    assert first is not None
    assert seen == [["0", "1"], ["2", "3"], ["4"]]


async def test_a_page_has_25_images_unless_asked_for_more(site: Peopled) -> None:
    for number in range(26):
        await site.alice.create(name=str(number))
    assert len(await site.alice.names()) == 25
    assert len(await site.alice.names("?limit=100")) == 26
    assert await site.alice.names("?limit=0") == []


async def test_everybody_lists_their_own_and_what_is_public(site: Peopled) -> None:
    await site.alice.create(name="private", visibility="private")
    await site.alice.create(name="community", visibility="community")
    await site.admin.create(name="public", visibility="public")
    await site.alice.create(name="hidden", os_hidden=True)
    assert await site.bob.names() == ["public"]
    assert await site.bob.names("?visibility=community") == ["community"]
    assert sorted(await site.alice.names()) == ["community", "private", "public"]
    assert await site.alice.names("?os_hidden=true") == ["hidden"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "sort=colour",
        "sort_key=name&sort_dir=up",
        "visibility=none",
        "marker=nothing",
        "member_status=maybe",
        "os_hidden=perhaps",
        "size_min=big",
        "updated_at=about:yesterday",
        "changes-since=now",
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(site: Peopled, query: str) -> None:
    assert (await site.alice.get(f"/v2/images?{query}")).status == 400


async def test_a_list_that_did_not_change_is_not_sent_again(site: Peopled) -> None:
    image = await site.alice.create(name="one")
    answer = await site.alice.get("/v2/images")
    again = {"If-None-Match": answer.headers["ETag"]}
    unchanged = await site.alice.get("/v2/images", headers=again)
    assert (unchanged.status, unchanged.body) == (304, b"")
    await site.alice.send("PUT", f"/v2/images/{image['id']}/tags/new")
    changed = await site.alice.get("/v2/images", headers=again)
    assert (changed.status, changed.json["images"][0]["tags"]) == (200, ["new"])
