"""A site above that lies, keeps things back, or has too much to do: seen, said, and survived."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from skerry.catalog import offers
from skerry.core.feed.journal import Place, Row
from skerry.sync import follower, source
from tests.functional.kin import SITE, Kin, kin
from tests.functional.sites import Api, eventually, noise
from tests.functional.test_feed import arrives
from tests.functional.test_feed_away import CENTRE, caught_up, feed


@pytest.fixture
async def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kin]:
    monkeypatch.setattr(follower, "_FIRST_REREAD", 0.2)
    monkeypatch.setattr(follower, "_FIRST_PAUSE", 0.1)
    monkeypatch.setattr(follower, "_LEAST_POLL", 0.1)
    async with kin(tmp_path, {"centre": None, "lyon": "centre"}) as sites:
        yield sites


async def gives(sites: Kin, give: Callable[..., Awaitable[list[bytes]]], patch: pytest.MonkeyPatch) -> None:
    """Have the centre answer polls so from now on; one that it waits with already comes to its end first."""
    patch.setattr(feed(sites["centre"]).source, "give", give)
    image = await sites["centre"].create(name="the end of a poll")
    await arrives(sites["lyon"], image["id"])


async def stream_at(site: Api) -> dict[str, Any]:
    _, _, report = await site.call("GET", "/skerry/v1/status")
    (found,) = [one for one in report["feed"]["streams"] if one["stream"] == "centre"]
    assert isinstance(found, dict)
    return found


async def test_records_that_were_changed_on_the_way_are_refused_until_the_true_ones_come(
    sites: Kin, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await sites["centre"].create(noise(10), name="honest", visibility="public")
    await arrives(sites["lyon"], image["id"], name="honest", status="active")
    give = feed(sites["centre"]).source.give

    async def lying(*given: Any, **more: Any) -> list[bytes]:
        return [page.replace(b"better", b"poison") for page in await give(*given, **more)]

    await gives(sites, lying, monkeypatch)
    await sites["centre"].patch(image["id"], {"op": "replace", "path": "/name", "value": "better"})
    await eventually(lambda: feed(sites["lyon"]).journal.standing(CENTRE).trouble == "forged")

    assert (await sites["lyon"].show(image["id"]))["name"] == "honest"
    assert "not signed" in (await stream_at(sites["lyon"]))["reason"]
    _, headers, _ = await sites["lyon"].call("GET", f"/v2/images/{image['id']}")
    assert "has not signed" in headers["Skerry-Stale"]
    monkeypatch.undo()
    await arrives(sites["lyon"], image["id"], name="better")
    assert (await stream_at(sites["lyon"]))["trouble"] is None


async def test_a_site_above_that_says_nothing_new_for_too_long_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kin(tmp_path, {"centre": None, "lyon": "centre"}, head_lifetime=1) as sites:
        image = await sites["centre"].create(noise(10), visibility="public")
        await arrives(sites["lyon"], image["id"], status="active")

        async def silent(*given: Any, **more: Any) -> list[bytes]:
            await asyncio.Event().wait()
            return []

        monkeypatch.setattr(feed(sites["centre"]).source, "give", silent)
        async with asyncio.timeout(20):
            while (await stream_at(sites["lyon"]))["trouble"] != "withheld":
                pass
        _, headers, _ = await sites["lyon"].call("GET", f"/v2/images/{image['id']}")
        assert "vouched for nothing" in headers["Skerry-Stale"]


async def test_nonsense_in_place_of_the_feed_ends_nothing(
    sites: Kin, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_epoch = b'{"stream": "centre", "epoch": -1}\n{"end": 1}\n'
    answers = iter([b"{", b"[]\n", b'{"stream": "centre"}\n{"end": 1}\n', b"\xff\n", bad_epoch])
    asked = 0
    give = feed(sites["centre"]).source.give

    async def confused(*given: Any, **more: Any) -> list[bytes]:
        nonlocal asked
        asked += 1
        answer = next(answers, None)
        return await give(*given, **more) if answer is None else [answer]

    await gives(sites, confused, monkeypatch)
    image = await sites["centre"].create(noise(10))
    await arrives(sites["lyon"], image["id"], status="active")
    assert asked > 5


async def test_a_site_above_that_gives_the_same_again_and_again_is_not_asked_without_pause(
    sites: Kin, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await sites["centre"].create(noise(10))
    await arrives(sites["lyon"], image["id"], status="active")
    journal = feed(sites["centre"]).journal
    same = [(await journal.page(CENTRE, journal.standing(CENTRE).place)).encoded]
    asked = 0

    async def repeating(*given: Any, **more: Any) -> list[bytes]:
        nonlocal asked
        asked += 1
        return same

    await gives(sites, repeating, monkeypatch)
    contact = feed(sites["lyon"]).follower
    assert contact is not None
    await eventually(lambda: "was not asked for" in contact.contact.trouble)
    assert asked < 10


async def test_a_site_with_too_much_to_do_says_when_to_come_back(
    sites: Kin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_IN_LINE", 0)
    monkeypatch.setattr(offers, "_IN_LINE", 0)
    await sites["centre"].create()
    for method in ("GET", "POST"):
        status, headers, _ = await sites["centre"].call(
            method, "/skerry/v1/feed?wait=0", headers={SITE: "lyon"}
        )
        assert status == 503
        assert 1 <= int(headers["Retry-After"]) <= 10


async def test_who_is_no_site_gets_nothing_and_a_site_tells_of_its_own_part_alone(sites: Kin) -> None:
    centre = sites["centre"]
    assert (await centre.call("GET", "/skerry/v1/feed?wait=0"))[0] == 403
    assert (await centre.call("GET", "/skerry/v1/feed?after=centre", headers={SITE: "lyon"}))[0] == 400
    journal = feed(centre).journal
    page = (await journal.page(CENTRE, Place())).encoded
    status, _, _ = await centre.call("POST", "/skerry/v1/feed", data=page, headers={SITE: "lyon"})
    assert status == 403


async def test_what_a_site_may_not_read_does_not_come_to_it(sites: Kin) -> None:
    def may_read(row: Row) -> bool:
        return row.signed is not None and "secret" not in row.signed.text

    sites.tree.readers["lyon"] = may_read
    secret = await sites["centre"].create(noise(10), name="secret")
    open_ = await sites["centre"].create(noise(10), name="open")
    await arrives(sites["lyon"], open_["id"], status="active")
    await caught_up(sites, "lyon")
    assert await sites["lyon"].site.records.ids() == [open_["id"]]
    journal = feed(sites["lyon"]).journal
    assert journal.standing(CENTRE).digest == feed(sites["centre"]).journal.standing(CENTRE).digest
    await sites["centre"].patch(open_["id"], {"op": "replace", "path": "/name", "value": "secret"})
    await caught_up(sites, "lyon")
    assert await sites["lyon"].site.records.ids() == []
    assert secret["id"] not in str(await sites["lyon"].call("GET", "/v2/images"))
