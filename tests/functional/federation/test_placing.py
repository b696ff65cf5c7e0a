"""An operator says once which images belong where, and it becomes true at sites that have joined."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.functional.federation.cast import centre, joined, member
from tests.functional.federation.placed import Placed

MIRROR = {"name": "all", "images": "all", "sites": "all", "mode": "mirror", "pinned": True}
EVERYWHERE = {"placements": [MIRROR]}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Placed]:
    async with centre(tmp_path / "centre") as central:
        config = await joined(central, tmp_path / "edge", "lyon", labels={"tier": "far"})
        async with member(config) as edge:
            yield Placed(central, {"lyon": edge})


async def test_what_is_mirrored_comes_and_the_centre_knows_it(pair: Placed) -> None:
    one = await pair.image()
    await pair.apply(EVERYWHERE)

    known = await pair.becomes(one, "verified")

    assert (known["health"]["value"], known["contact"]["value"]) == ("ok", "live")
    assert (pair.edges["lyon"].site.config.images / one).stat().st_size == 100_000
    assert (await pair.get("/skerry/v1/sites/lyon/preflight"))["is_safe"]
    explained = await pair.get(f"/skerry/v1/explain/{one}/lyon")
    facts = {fact["topic"]: fact["says"] for fact in explained["facts"]}
    assert "all" in facts["rule"]
    assert "pinned by a placement" in facts["pin"]


async def test_the_plan_says_what_will_happen_and_a_stale_one_is_refused(pair: Placed) -> None:
    one = await pair.image()
    shown = await pair.plan(EVERYWHERE)
    (effect,) = (effect for effect in shown["effects"] if effect["site"] == "lyon")
    assert effect["fetch"] == {"images": 1, "size": 100_000}
    assert shown["added"] == ["all"]

    await pair.image()
    sent = {**EVERYWHERE, "fingerprint": shown["fingerprint"]}
    stale = await pair.centre.admin.send("PUT", "/skerry/v1/placements", sent)

    assert stale.status == 409
    assert (await pair.get("/skerry/v1/placements"))["placements"] == []
    assert not (pair.edges["lyon"].site.config.images / one).exists()


async def test_a_document_that_makes_no_sense_is_refused_with_the_place_and_the_remedy(pair: Placed) -> None:
    wrong = {"placements": [{**MIRROR, "name": "far", "sites": {"lable": "tier=far"}}]}
    answer = await pair.centre.admin.send("POST", "/skerry/v1/placements/plan", wrong)
    assert answer.status == 400
    assert b'placement "far": there is no key sites.lable' in answer.body
    assert b"sites.label" in answer.body


async def test_nobody_but_an_administrator_changes_placements_or_sees_copies(pair: Placed) -> None:
    for method, path in (
        ("GET", "/skerry/v1/placements"),
        ("GET", "/skerry/v1/copies"),
        ("GET", "/skerry/v1/sites/lyon/preflight"),
    ):
        assert (await pair.centre.alice.send(method, path)).status == 403
    assert (await pair.centre.alice.send("POST", "/skerry/v1/placements/plan", EVERYWHERE)).status == 403


async def test_what_nobody_has_heard_of_is_not_found(pair: Placed) -> None:
    one = await pair.image()
    for path in (
        "/skerry/v1/copies?site=nowhere",
        f"/skerry/v1/explain/{one}/nowhere",
        "/skerry/v1/explain/00000000-0000-4000-8000-000000000000/lyon",
        "/skerry/v1/sites/nowhere/preflight",
    ):
        assert (await pair.centre.admin.send("GET", path)).status == 404


async def test_a_site_that_never_came_is_silent_and_not_safe_to_cut_off(pair: Placed) -> None:
    await pair.centre.admin.send("POST", "/skerry/v1/sites", {"name": "brest"})
    one = await pair.image()
    await pair.apply(EVERYWHERE)

    (known,) = (await pair.get(f"/skerry/v1/copies?site=brest&image={one}"))["copies"]

    assert known["contact"]["value"] == "silent"
    assert known["sync"]["value"] == "missing"
    assert not (await pair.get("/skerry/v1/sites/brest/preflight"))["is_safe"]
