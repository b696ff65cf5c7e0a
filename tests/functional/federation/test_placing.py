"""An operator says once which images belong where, and it becomes true at sites that have joined."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.functional.federation.cast import centre, joined, member
from tests.functional.people import Peopled
from tests.functional.sites import Api, noise

EXAMPLES = Path(__file__).parents[3] / "examples" / "placements"
MIRROR = {"name": "all", "images": "all", "sites": "all", "mode": "mirror", "pinned": True}
EVERYWHERE = {"placements": [MIRROR]}


@dataclass
class Pair:
    """A centre, and an edge called lyon that has joined it."""

    centre: Peopled
    edge: Api

    async def get(self, path: str) -> Any:
        answer = await self.centre.admin.send("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    async def plan(self, document: dict[str, Any]) -> dict[str, Any]:
        answer = await self.centre.admin.send("POST", "/skerry/v1/placements/plan", document)
        assert answer.status == 200, answer.body
        assert isinstance(answer.json, dict)
        return answer.json

    async def apply(self, document: dict[str, Any]) -> None:
        fingerprint = (await self.plan(document))["fingerprint"]
        sent = {**document, "fingerprint": fingerprint}
        answer = await self.centre.admin.send("PUT", "/skerry/v1/placements", sent)
        assert answer.status == 200, answer.body

    async def becomes(self, image_id: str, sync: str) -> dict[str, Any]:
        """What the centre says of the image at lyon, once it says `sync`."""
        async with asyncio.timeout(30):
            while True:
                found = (await self.get(f"/skerry/v1/copies?site=lyon&image={image_id}"))["copies"][0]
                if found["sync"]["value"] == sync:
                    assert isinstance(found, dict)
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with centre(tmp_path / "centre") as central:
        config = await joined(central, tmp_path / "edge", "lyon", labels={"tier": "far"})
        async with member(config) as edge:
            yield Pair(central, edge)


async def image(pair: Pair, **attributes: Any) -> str:
    data = noise(100_000)
    record = {"name": "one", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    created = await pair.centre.admin.send("POST", "/v2/images", {**record, **attributes})
    assert created.status == 201, created.body
    image_id = str(created.json["id"])
    headers = {"Content-Type": "application/octet-stream"}
    path = f"/v2/images/{image_id}/file"
    assert (await pair.centre.admin.send("PUT", path, data=data, headers=headers)).status == 204
    return image_id


async def test_what_is_mirrored_comes_and_the_centre_knows_it(pair: Pair) -> None:
    one = await image(pair)
    await pair.apply(EVERYWHERE)

    known = await pair.becomes(one, "verified")

    assert (known["health"]["value"], known["contact"]["value"]) == ("ok", "live")
    assert (pair.edge.site.config.images / one).stat().st_size == 100_000
    assert (await pair.get("/skerry/v1/sites/lyon/preflight"))["is_safe"]
    explained = await pair.get(f"/skerry/v1/explain/{one}/lyon")
    facts = {fact["topic"]: fact["says"] for fact in explained["facts"]}
    assert "all" in facts["rule"]
    assert "pinned by a placement" in facts["pin"]


async def test_the_plan_says_what_will_happen_and_a_stale_one_is_refused(pair: Pair) -> None:
    one = await image(pair)
    shown = await pair.plan(EVERYWHERE)
    (effect,) = (effect for effect in shown["effects"] if effect["site"] == "lyon")
    assert effect["fetch"] == {"images": 1, "size": 100_000}
    assert shown["added"] == ["all"]

    await image(pair)
    sent = {**EVERYWHERE, "fingerprint": shown["fingerprint"]}
    stale = await pair.centre.admin.send("PUT", "/skerry/v1/placements", sent)

    assert stale.status == 409
    assert (await pair.get("/skerry/v1/placements"))["placements"] == []
    assert not (pair.edge.site.config.images / one).exists()


async def test_a_document_that_makes_no_sense_is_refused_with_the_place_and_the_remedy(pair: Pair) -> None:
    wrong = {"placements": [{**MIRROR, "name": "far", "sites": {"lable": "tier=far"}}]}
    answer = await pair.centre.admin.send("POST", "/skerry/v1/placements/plan", wrong)
    assert answer.status == 400
    assert b'placement "far": there is no key sites.lable' in answer.body
    assert b"sites.label" in answer.body


async def test_nobody_but_an_administrator_changes_placements_or_sees_copies(pair: Pair) -> None:
    for method, path in (
        ("GET", "/skerry/v1/placements"),
        ("GET", "/skerry/v1/copies"),
        ("GET", "/skerry/v1/sites/lyon/preflight"),
    ):
        assert (await pair.centre.alice.send(method, path)).status == 403
    assert (await pair.centre.alice.send("POST", "/skerry/v1/placements/plan", EVERYWHERE)).status == 403


async def test_what_nobody_has_heard_of_is_not_found(pair: Pair) -> None:
    one = await image(pair)
    for path in (
        "/skerry/v1/copies?site=nowhere",
        f"/skerry/v1/explain/{one}/nowhere",
        "/skerry/v1/explain/00000000-0000-4000-8000-000000000000/lyon",
        "/skerry/v1/sites/nowhere/preflight",
    ):
        assert (await pair.centre.admin.send("GET", path)).status == 404


async def test_a_site_that_never_came_is_silent_and_not_safe_to_cut_off(pair: Pair) -> None:
    await pair.centre.admin.send("POST", "/skerry/v1/sites", {"name": "brest"})
    one = await image(pair)
    await pair.apply(EVERYWHERE)

    (known,) = (await pair.get(f"/skerry/v1/copies?site=brest&image={one}"))["copies"]

    assert known["contact"]["value"] == "silent"
    assert known["sync"]["value"] == "missing"
    assert not (await pair.get("/skerry/v1/sites/brest/preflight"))["is_safe"]


@pytest.mark.parametrize(
    ("example", "image_with", "comes"),
    [
        ("1-everywhere.yaml", {}, True),
        ("4-on-demand.yaml", {}, False),
    ],
)
async def test_the_examples_do_what_they_say(
    pair: Pair, example: str, image_with: dict[str, Any], comes: bool
) -> None:
    document = yaml.safe_load((EXAMPLES / example).read_text())
    one = await image(pair, **image_with)
    await pair.apply(document)

    known = await pair.becomes(one, "verified" if comes else "unneeded")

    assert (pair.edge.site.config.images / one).exists() is comes
    assert known["site"] == "lyon"
