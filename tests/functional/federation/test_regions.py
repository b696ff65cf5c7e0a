"""Sites below sites: all that travels passes through those in between, which can change none of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from skerry.api.federation import Federation
from skerry.core.enrolment import Token
from skerry.core.errors import Forbidden, UpstreamAway
from skerry.lab.run import free_port
from tests.functional.federation.cast import as_site, identity_of, invite, join, joined, member, sites_url
from tests.functional.people import Peopled
from tests.functional.sites import Api, eventually, noise, settings


@dataclass
class Region:
    """A site between the centre and others; it may be stopped."""

    site: Api
    stack: AsyncExitStack


@asynccontextmanager
async def running_region(central: Peopled, folder: Path) -> AsyncIterator[Region]:
    port = free_port()
    sections = {"sites": {"listen": f"127.0.0.1:{port}", "url": f"https://127.0.0.1:{port}"}}
    config = await joined(central, folder, "paris", sections=sections)
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(member(config))
        await eventually(lambda: "paris" in federation(site).sites.all())
        yield Region(site, stack)


@pytest.fixture
async def region(central: Peopled, tmp_path: Path) -> AsyncIterator[Region]:
    """The region paris."""
    async with running_region(central, tmp_path / "paris") as region:
        yield region


def federation(of: Peopled | Api) -> Federation:
    assert of.site.federation is not None
    return of.site.federation


async def test_a_site_joins_at_its_region_and_follows_it(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    answer = await central.admin.send("POST", "/skerry/v1/sites", {"name": "lyon", "upstream": "paris"})
    assert answer.json["url"] == sites_url(region.site), "this is where it is told to join"
    config = settings(tmp_path / "lyon")
    belongs = await join(config, answer.json["url"], answer.json["token"])

    assert belongs.upstream.name == "paris"
    assert belongs.centre == "central"
    assert federation(central).sites.get("lyon").upstream == "paris"
    async with member(config) as lyon:
        data = noise(50_000)
        image = await central.admin.create(disk_format="raw", container_format="bare", visibility="public")
        headers = {"Content-Type": "application/octet-stream"}
        await central.admin.send("PUT", f"/v2/images/{image['id']}/file", data=data, headers=headers)
        await eventually(lambda: _complete(lyon, image["id"]))
        assert await lyon.download(image["id"]) == data
        assert federation(lyon).sites.all() == federation(central).sites.all()


async def _has(site: Api, image_id: str) -> bool:
    return (await site.call("GET", f"/v2/images/{image_id}"))[0] == 200


def _complete(site: Api, image_id: str) -> bool:
    known = site.site.records.cached(image_id)
    return known is not None and known.has_data


async def test_a_site_that_joins_at_the_centre_is_sent_to_its_region(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    config = settings(tmp_path / "lyon")
    belongs = await join(config, sites_url(central), await invite(central, "lyon", upstream="paris"))

    assert belongs.upstream.name == "paris"
    assert belongs.upstream.url == sites_url(region.site)


async def test_a_region_that_is_cut_off_lets_nobody_in_and_the_token_stays_good(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    config, token = settings(tmp_path / "lyon"), await invite(central, "lyon", upstream="paris")
    own = federation(region.site).membership
    upstream = own.upstream
    assert upstream is not None
    own.upstream = type(upstream)(upstream.name, f"https://127.0.0.1:{free_port()}")
    with pytest.raises(UpstreamAway, match="cannot be reached"):
        await join(config, sites_url(region.site), token)

    own.upstream = upstream
    assert (await join(config, sites_url(region.site), token)).site == "lyon"


async def test_a_refusal_of_the_centre_is_told_in_its_own_words(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    token = await invite(central, "lyon", upstream="paris")
    await central.admin.send("DELETE", "/skerry/v1/sites/lyon")

    with pytest.raises(Forbidden, match="not the one for site lyon"):
        await join(settings(tmp_path / "lyon"), sites_url(region.site), token)


async def test_a_site_below_a_region_takes_a_new_key(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    config = await joined(central, tmp_path / "lyon", "lyon", sites_url(region.site), upstream="paris")
    async with member(config) as lyon:
        old = federation(lyon).key.public
        status, _, _ = await lyon.call("POST", "/skerry/v1/rotate")

        assert status == 200
        assert federation(central).sites.get("lyon").keys == (federation(lyon).key.public, old)


async def test_a_site_that_the_centre_revokes_is_refused_by_its_region(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    config = await joined(central, tmp_path / "lyon", "lyon", sites_url(region.site), upstream="paris")
    sites = federation(region.site).sites
    await eventually(lambda: "lyon" in sites.all() and sites.get("lyon").keys)
    async with as_site(identity_of(config)) as lyon:
        assert (await lyon.get("/v2/images")).status == 200
        await central.admin.send("PATCH", "/skerry/v1/sites/lyon", {"state": "revoked"})
        await eventually(lambda: sites.get("lyon").state == "revoked")

        answer = await lyon.get("/v2/images")
        assert answer.status == 403
        assert "Site lyon is revoked" in answer.json["message"]


async def test_an_administrator_says_at_any_site_what_the_centre_shall_do(
    central: Peopled, region: Region
) -> None:
    headers = dict(central.admin.session.headers)
    status, _, answer = await region.site.call(
        "POST", "/skerry/v1/sites", json={"name": "nice"}, headers=headers
    )
    assert status == 201
    assert Token.parse(answer["token"]).site == "nice"
    assert federation(central).sites.get("nice").state == "invited"

    status, _, _ = await region.site.call("POST", "/skerry/v1/sites", json={"name": "rome"})
    assert status == 401, "the centre knows nobody by the word of a site"


async def test_a_region_with_sites_below_is_not_removed_and_no_circle_is_made(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    await invite(central, "lyon", upstream="paris")

    answer = await central.admin.send("DELETE", "/skerry/v1/sites/paris")
    assert answer.status == 409
    assert "is the upstream of lyon" in answer.body.decode()
    answer = await central.admin.send("PATCH", "/skerry/v1/sites/paris", {"upstream": "lyon"})
    assert answer.status == 409


async def test_a_site_that_is_given_another_upstream_follows_that(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    config = await joined(central, tmp_path / "lyon", "lyon")
    async with member(config) as lyon:
        await eventually(lambda: "lyon" in federation(lyon).sites.all())
        await central.admin.send("PATCH", "/skerry/v1/sites/lyon", {"upstream": "paris"})
        await eventually(lambda: federation(lyon).sites.get("lyon").upstream == "paris")
        assert lyon.site.renewal is not None
        await lyon.site.renewal.tend()

        own = federation(lyon).membership
        assert own.upstream is not None
        assert own.upstream.name == "paris"
        assert own.upstream.url == sites_url(region.site)
    assert identity_of(config).upstream == own.upstream

    async with member(config) as lyon:
        image = await central.admin.create(name="new", disk_format="raw", container_format="bare")
        await eventually(lambda: lyon.site.records.cached(image["id"]) is not None)


async def test_who_stands_between_a_newcomer_and_its_region_learns_no_secret(
    central: Peopled, region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a newcomer sends is of no use to anybody else: the token itself does not travel."""
    sent: list[bytes] = []
    request = aiohttp.ClientSession._request

    async def listen(self: aiohttp.ClientSession, method: str, url: str, **more: object) -> object:
        body = more.get("data")
        if isinstance(body, bytes):
            sent.append(body)
        return await request(self, method, url, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(aiohttp.ClientSession, "_request", listen)
    text = await invite(central, "lyon", upstream="paris")
    await join(settings(tmp_path / "lyon"), sites_url(region.site), text)

    token = Token.parse(text)
    assert any(str(token.key.public).encode() in body for body in sent)
    for secret in (token.secret, token.secret.hex().encode(), text.split(".")[2].encode()):
        assert not any(secret in body for body in sent)


async def test_a_site_that_takes_the_place_of_one_that_is_lost_is_heard_by_all(
    central: Peopled, region: Region, tmp_path: Path
) -> None:
    """The new lyon begins its records anew, and nobody holds those of the old one against it."""
    first = await joined(central, tmp_path / "lost", "lyon")
    async with member(first) as lyon:
        old = await lyon.create(name="old")
        await eventually(lambda: region.site.site.records.cached(old["id"]) is not None)

    await central.admin.send("PATCH", "/skerry/v1/sites/lyon", {"state": "revoked"})
    assert (await central.admin.send("DELETE", "/skerry/v1/sites/lyon")).status == 204
    second = await joined(central, tmp_path / "found", "lyon")
    async with member(second) as lyon:
        new = await lyon.create(name="new")
        for site in (central, region.site):
            known = site.site.records
            await eventually(lambda known=known: known.cached(new["id"]) is not None)  # type: ignore[misc]
            assert (await known.get(old["id"])).image.name == "old", "nothing is deleted by itself"
    for site in (central, region.site):
        assert federation(site).sites.get("lyon").keys == (identity_of(second).key.public,)
