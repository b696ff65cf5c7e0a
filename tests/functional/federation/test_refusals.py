"""Who is not let in at the sites' listener, and what those who are may not do."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skerry.api.routes import CENTRAL, LOCAL, OPEN, READ, WRITE
from skerry.config import Config
from skerry.core.clock import SystemClock
from skerry.core.enrolment import LARGEST
from skerry.core.errors import Forbidden
from skerry.core.feed.lines import FEED, places_to_query
from skerry.core.signing import SigningKey
from skerry.core.site import GRACE
from skerry.identity import tls
from skerry.identity.authority import VALIDITY, Authority
from skerry.identity.certificates import make_key
from skerry.identity.membership import Membership
from tests.functional.federation.cast import (
    Shifted,
    as_site,
    by_tls,
    identity_of,
    joined,
    member,
    sites_url,
)
from tests.functional.people import Peopled, Person
from tests.functional.sites import eventually


@pytest.fixture
async def config(central: Peopled, tmp_path: Path) -> Config:
    """The settings of lyon, which has joined and does not run."""
    return await joined(central, tmp_path / "lyon", "lyon")


@pytest.fixture
async def lyon(config: Config) -> AsyncIterator[Person]:
    """What speaks with the certificate of lyon."""
    async with as_site(identity_of(config)) as person:
        yield person


def membership(central: Peopled) -> Membership:
    federation = central.site.federation
    assert federation is not None
    return federation.membership


def own_authority(central: Peopled) -> Authority:
    authority = membership(central).authority
    assert authority is not None
    return authority


def context(central: Peopled, folder: Path, authority: Authority, site: str, **when: Any) -> ssl.SSLContext:
    """That of somebody with a certificate for a key of their own."""
    key = make_key(folder / "stolen-key.pem")
    now = SystemClock().now() + timedelta(**when)
    (folder / "stolen-cert.pem").write_text(authority.issue(site, key.public, now))
    return tls.client_context(
        membership(central).trusted, "central", folder / "stolen-cert.pem", folder / "stolen-key.pem"
    )


async def refusal(url: str, context: ssl.SSLContext, path: str = "/v2/images") -> str:
    """Why somebody is refused."""
    async with by_tls(url, context) as session:
        answer = await Person("somebody", session).get(path)
    assert answer.status == 403, answer
    return str(answer.json["message"])


async def test_somebody_without_a_certificate_is_told_what_is_missing(central: Peopled) -> None:
    nobody = tls.client_context(membership(central).trusted, "central")
    paths = [
        path.format(image_id="1", project_id="1", name="x")
        for table in (OPEN, READ, LOCAL, {FEED: ["GET"], "/nowhere": ["GET"]})
        for path, methods in table.items()
        if "GET" in methods
    ]
    assert len(paths) > 15

    for path in paths:
        assert "show a certificate" in await refusal(sites_url(central), nobody, path)


async def test_a_user_without_the_certificate_of_a_site_is_sent_to_the_api(central: Peopled) -> None:
    nobody = tls.client_context(membership(central).trusted, "central")
    async with by_tls(sites_url(central), nobody) as session:
        headers = dict(central.admin.session.headers)
        async with session.get("/v2/images", headers=headers) as answer:
            assert answer.status == 403
            assert "Users are served at the site's API" in await answer.text()


async def test_who_does_not_speak_tls_is_not_answered(central: Peopled) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(sites_url(central).replace("https", "http"))


async def test_a_certificate_of_another_authority_is_refused_and_the_log_says_so(
    central: Peopled, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Authority.open(tmp_path / "k", tmp_path / "c", "central", SystemClock().now())
    stranger = context(central, tmp_path, other, "lyon")

    await is_cut_off(sites_url(central), stranger)
    await eventually(
        lambda: (
            "certificate is refused: certificate signature failure" in caplog.text
            or "certificate is refused: unable to get local issuer" in caplog.text
        )
    )


async def test_an_expired_certificate_is_refused_and_the_log_says_so(
    central: Peopled, config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    late = context(central, tmp_path, own_authority(central), "lyon", days=-2 * VALIDITY.days)

    await is_cut_off(sites_url(central), late)
    await eventually(lambda: "certificate is refused: certificate has expired" in caplog.text)


async def is_cut_off(url: str, context: ssl.SSLContext) -> None:
    async with by_tls(url, context) as session:
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.get("/v2/images")
    assert "its log says why" in str(tls.explain(caught.value, url))


async def test_a_certificate_that_expires_on_an_open_connection_is_refused(
    lyon: Person, clock: Shifted
) -> None:
    assert (await lyon.get("/v2/images")).status == 200
    clock.ahead = VALIDITY.total_seconds() + 1

    answer = await lyon.get("/v2/images")
    assert answer.status == 403
    assert "has expired" in answer.json["message"]


@pytest.mark.parametrize(
    ("site", "complaint"), [("lyon", "not the key of site lyon"), ("nice", "Site nice is not known")]
)
async def test_a_certificate_for_a_key_or_a_site_that_the_centre_does_not_know_is_refused(
    central: Peopled, config: Config, tmp_path: Path, site: str, complaint: str
) -> None:
    thief = context(central, tmp_path, own_authority(central), site)

    assert complaint in await refusal(sites_url(central), thief)


async def test_a_site_does_not_speak_to_another_site_than_its_upstream(
    central: Peopled, config: Config, tmp_path: Path
) -> None:
    """A site below the same centre is not the centre, whatever host it is at."""
    brest = await joined(central, tmp_path / "brest", "brest", sections={"sites": {"listen": "127.0.0.1:0"}})
    async with member(brest) as impostor:
        assert impostor.site.federation is not None
        url = impostor.site.federation.url
        async with by_tls(url, identity_of(config).client_context()) as session:
            with pytest.raises(aiohttp.ClientError) as caught:
                await session.get("/v2/images")

    error = tls.explain(caught.value, url)
    assert isinstance(error, Forbidden)
    assert "this is the certificate of brest, not of site central" in str(error)


async def test_a_revoked_site_is_refused_from_its_next_request_on(central: Peopled, lyon: Person) -> None:
    assert (await lyon.get("/v2/images")).status == 200
    await central.admin.send("PATCH", "/skerry/v1/sites/lyon", {"state": "revoked"})

    answer = await lyon.get("/v2/images")
    assert answer.status == 403
    assert "Site lyon is revoked" in answer.json["message"]
    assert answer.headers["Connection"] == "close"


async def test_a_revoked_site_that_waits_for_news_does_not_get_it(central: Peopled, lyon: Person) -> None:
    feed = central.site.feed
    assert feed is not None
    own = feed.journal.own()
    after = places_to_query({own: feed.journal.standing(own).place})
    waiting = asyncio.create_task(lyon.get(f"{FEED}?after={after}&wait=30"))
    await eventually(lambda: feed.source.waiting == 1)

    await central.admin.send("PATCH", "/skerry/v1/sites/lyon", {"state": "revoked"})
    answer = await waiting

    assert answer.status == 403
    assert "revoked" in answer.json["message"]


async def test_a_removed_site_is_refused(central: Peopled, lyon: Person) -> None:
    await central.admin.send("PATCH", "/skerry/v1/sites/lyon", {"state": "draining"})
    assert (await lyon.get("/v2/images")).status == 200, "a draining site works as ever"
    await central.admin.send("DELETE", "/skerry/v1/sites/lyon")

    answer = await lyon.get("/v2/images")
    assert answer.status == 403
    assert "Site lyon is not known here" in answer.json["message"]


async def test_a_site_changes_nothing_elsewhere(central: Peopled, lyon: Person) -> None:
    image = await central.admin.create(name="one", disk_format="raw", container_format="bare")
    member = {"member": "x"}
    calls = [
        (method, path.format(image_id=image["id"], project_id="alice", tag="x", name="lyon"))
        for table in (WRITE, LOCAL, CENTRAL)
        for path, methods in table.items()
        for method in methods
    ]
    assert len(calls) > 20
    for method, path in calls:
        answer = await lyon.send(method, path, member if method in ("POST", "PUT", "PATCH") else None)
        assert answer.status == 403, (method, path)

    assert (await central.admin.get(f"/v2/images/{image['id']}")).json == image
    assert (await central.admin.names()) == ["one"]
    assert (await central.admin.get("/skerry/v1/sites/lyon")).json["state"] == "active"


async def test_a_site_reads_every_image_and_its_members(central: Peopled, lyon: Person) -> None:
    image = await central.alice.create(name="hers", disk_format="raw", container_format="bare")
    await central.alice.send("POST", f"/v2/images/{image['id']}/members", {"member": "bob"})

    assert await lyon.names("?visibility=all&member_status=all") == ["hers"]
    members = (await lyon.get(f"/v2/images/{image['id']}/members")).json["members"]
    assert [one["member_id"] for one in members] == ["bob"]


async def test_a_site_reads_what_its_scope_lets_it_have(central: Peopled, lyon: Person) -> None:
    images = [
        await central.admin.create(name=name, disk_format="raw", container_format="bare")
        for name in ("for-lyon", "for-nobody")
    ]
    central.site.policy.site_reads = lambda site, image: image.name == f"for-{site}"

    assert await lyon.names("?visibility=all") == ["for-lyon"]
    assert (await lyon.get(f"/v2/images/{images[0]['id']}")).status == 200
    for path in ("", "/file", "/members"):
        assert (await lyon.get(f"/v2/images/{images[1]['id']}{path}")).status == 404


async def test_what_a_site_passes_on_for_a_user_is_done_as_the_user(central: Peopled, config: Config) -> None:
    async with by_tls(sites_url(central), identity_of(config).client_context()) as session:
        record = {"name": "hers", "disk_format": "raw", "container_format": "bare"}
        headers = dict(central.alice.session.headers)
        async with session.post("/v2/images", json=record, headers=headers) as answer:
            assert answer.status == 201
            assert (await answer.json())["owner"] == "alice"
        async with session.post("/skerry/v1/sites", json={"name": "nice"}, headers=headers) as answer:
            assert answer.status == 403
        async with session.post("/v2/images", json=record, headers={"Skerry-Forwarded": "1"}) as answer:
            assert answer.status == 401, "saying that there is a user makes nobody one"


async def test_a_request_to_join_is_bounded(central: Peopled, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    nobody = tls.client_context(membership(central).trusted, "central")
    async with by_tls(sites_url(central), nobody) as session:
        for body, status in ((b"x" * (LARGEST + 1), 413), (b"nonsense", 400), (b"", 400)):
            async with session.post("/skerry/v1/join", data=body) as answer:
                assert answer.status == status
    assert caplog.text == ""


async def test_a_key_that_was_replaced_opens_nothing_after_a_while(
    central: Peopled, lyon: Person, clock: Shifted
) -> None:
    sites = central.site.federation.sites if central.site.federation else None
    assert sites is not None
    new = SigningKey.generate().public
    before, now = sites.get("lyon"), clock.now().replace(microsecond=0)
    await sites.change("lyon", lambda all_, one: replace(one, keys=(new, *one.keys), keyed_at=now))

    assert (await lyon.get("/v2/images")).status == 200, "connections that are open have time to be renewed"
    clock.ahead = GRACE.total_seconds() + 2
    answer = await lyon.get("/v2/images")
    assert answer.status == 403
    assert "replaced by a newer one" in answer.json["message"]
    assert sites.keys("lyon") == (new, *before.keys), "what it has signed stays true"
