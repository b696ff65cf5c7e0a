"""Keys and certificates are changed while sites run, and nothing that was true before becomes false."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from skerry.api.federation import Federation
from skerry.api.renewal import Renewal
from skerry.config import Config
from skerry.core.clock import SystemClock
from skerry.core.enrolment import Request
from skerry.core.errors import UpstreamAway
from skerry.core.feed.entry import Stream
from skerry.identity.authority import VALIDITY
from skerry.identity.certificates import third_gone
from skerry.identity.membership import Upstream
from skerry.lab.run import free_port
from tests.functional.federation.cast import identity_of, joined, member
from tests.functional.people import Peopled
from tests.functional.sites import Api, eventually


def parts(of: Peopled | Api) -> tuple[Federation, Renewal]:
    site = of.site
    assert site.federation is not None
    assert site.renewal is not None
    return site.federation, site.renewal


@asynccontextmanager
async def following(config: Config) -> AsyncIterator[Api]:
    """A running member that has heard of itself."""
    async with member(config) as site:
        await eventually(lambda: site.site.config.site.name in parts(site)[0].sites.all())
        yield site


def revision(of: Peopled | Api, home: str) -> int:
    """How far a site has come with the records of a home."""
    assert of.site.feed is not None
    return of.site.feed.journal.standing(Stream(home)).revision


async def test_a_site_takes_a_new_key_while_it_runs_and_what_it_wrote_before_stays_true(
    central: Peopled, tmp_path: Path
) -> None:
    config = await joined(central, tmp_path / "lyon", "lyon")
    async with following(config) as lyon:
        federation, _ = parts(lyon)
        old = federation.key.public
        before = await lyon.create(name="before")
        await eventually(lambda: revision(central, "lyon") == revision(lyon, "lyon"))

        status, _, answer = await lyon.call("POST", "/skerry/v1/rotate")
        assert status == 200
        new = federation.key.public
        assert answer == {"site": "lyon", "key": str(new)}
        assert new != old
        assert parts(central)[0].sites.get("lyon").keys == (new, old)

        after = await lyon.create(name="after")
        await eventually(lambda: revision(central, "lyon") == revision(lyon, "lyon"))
        for image in (before, after):
            assert (await central.admin.get(f"/v2/images/{image['id']}")).json["name"] == image["name"]
        await eventually(lambda: federation.sites.get("lyon").keys == (new, old))

    async with following(config) as lyon:
        assert parts(lyon)[0].key.public == new
        last = await lyon.create(name="after a restart")
        await eventually(lambda: revision(central, "lyon") == revision(lyon, "lyon"))
        assert (await central.admin.get(f"/v2/images/{last['id']}")).status == 200


async def test_a_new_key_that_could_not_be_certified_is_when_the_upstream_is_back(
    central: Peopled, tmp_path: Path
) -> None:
    config = await joined(central, tmp_path / "lyon", "lyon")
    async with following(config) as lyon:
        federation, renewal = parts(lyon)
        old, upstream = federation.key.public, federation.membership.upstream
        federation.membership.upstream = Upstream("central", f"https://127.0.0.1:{free_port()}")
        with pytest.raises(UpstreamAway):
            await renewal.rotate()
        await renewal.tend()
        assert federation.key.public == old

        federation.membership.upstream = upstream
        await renewal.tend()
        assert federation.key.public == old, "it is not asked all the time"
        await Renewal(federation, SystemClock()).tend()
        assert federation.key.public != old
        assert parts(central)[0].sites.get("lyon").keys == (federation.key.public, old)


async def test_a_site_killed_as_it_changes_its_key_goes_on_after_its_start(
    central: Peopled, tmp_path: Path
) -> None:
    """Its new key is known to the centre, and the answer never came."""
    config = await joined(central, tmp_path / "lyon", "lyon")
    own = identity_of(config)
    old, new = own.key.public, own.next_key().public
    sites = parts(central)[0].sites
    before = sites.get("lyon")
    await sites.admit(Request("lyon", new, own.key.public))
    assert sites.get("lyon").keys == (new, *before.keys)

    async with following(config) as lyon:
        await eventually(lambda: parts(lyon)[0].key.public == new)
    assert sites.get("lyon").keys == (new, old)


async def test_the_centre_takes_a_new_key_and_all_go_on_to_believe_it(
    central: Peopled, tmp_path: Path
) -> None:
    config = await joined(central, tmp_path / "lyon", "lyon")
    async with following(config) as lyon:
        old = parts(central)[0].key.public
        assert (await central.admin.send("POST", "/skerry/v1/rotate")).status == 200
        new = parts(central)[0].key.public
        assert new != old
        image = await central.admin.create(name="new", disk_format="raw", container_format="bare")
        await eventually(lambda: revision(lyon, "central") == revision(central, "central"))
        assert (await lyon.show(image["id"]))["name"] == "new"
        assert parts(lyon)[0].sites.keys("central") == (new, old)

    late = await joined(central, tmp_path / "nice", "nice")
    async with following(late) as nice:
        await eventually(lambda: revision(nice, "central") == revision(central, "central"))
        assert (await nice.show(image["id"]))["name"] == "new"


@pytest.mark.parametrize("age", [VALIDITY / 2, 2 * VALIDITY])
async def test_an_old_certificate_is_renewed_by_itself_also_when_it_has_expired(
    central: Peopled, tmp_path: Path, age: timedelta
) -> None:
    config = await joined(central, tmp_path / "lyon", "lyon")
    own, authority = identity_of(config), parts(central)[0].membership.authority
    assert authority is not None
    own.folder.cert.write_text(authority.issue("lyon", own.key.public, SystemClock().now() - age))

    async with member(config) as lyon:
        federation, _ = parts(lyon)
        await eventually(lambda: not third_gone(federation.membership.certificate, SystemClock().now()))
        await eventually(lambda: "lyon" in federation.sites.all())
        assert federation.sites.get("lyon").keys == (own.key.public,)


async def test_the_centre_renews_its_own_certificate_and_shows_it_to_the_next(
    central: Peopled, tmp_path: Path
) -> None:
    federation, renewal = parts(central)
    own, authority = federation.membership, federation.membership.authority
    assert authority is not None
    await renewal.tend()
    before = own.certificate
    own.folder.cert.write_text(authority.issue("central", own.key.public, SystemClock().now() - VALIDITY / 2))
    await renewal.tend()

    assert own.certificate != before
    assert not third_gone(own.certificate, SystemClock().now())
    await joined(central, tmp_path / "lyon", "lyon")
