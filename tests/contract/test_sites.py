"""What the repository of sites promises."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import pytest

from skerry.catalog.database import Database
from skerry.catalog.journal import Journal
from skerry.catalog.sites import Sites
from skerry.core.enrolment import Request
from skerry.core.errors import Conflict, Forbidden, NotFound
from skerry.core.feed import lines
from skerry.core.feed.entry import Channel, Stream
from skerry.core.feed.journal import Place
from skerry.core.signing import SigningKey
from skerry.core.site import SiteRecord, SiteState, hang, move_to, relabel
from tests.simulators.clock import ManualClock

CENTRE, LYON, TOKEN = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()


@pytest.fixture
async def sites(database: Database, clock: ManualClock) -> Sites:
    """Those of a centre that has just begun."""
    return await at_centre(database, clock)


async def at_centre(database: Database, clock: ManualClock) -> Sites:
    """The repository after a start of the centre."""
    sites = Sites(
        database, await journal_of("central", database, clock), clock, name="central", centre="central"
    )
    await sites.load()
    await sites.be_centre(CENTRE.public, "https://central:9293")
    return sites


async def journal_of(home: str, database: Database, clock: ManualClock) -> Journal:
    journal = Journal(database, home, CENTRE if home == "central" else LYON, clock)
    await journal.load()
    return journal


def unchanged(sites: Mapping[str, SiteRecord], record: SiteRecord) -> SiteRecord:
    return record


async def invite(sites: Sites, clock: ManualClock, token: SigningKey = TOKEN, name: str = "lyon") -> None:
    record = SiteRecord(name, "central", SiteState.INVITED, {"tier": "far"}, invited_at=clock.now())
    await sites.invite(record, token.public, clock.now() + timedelta(hours=1), unchanged)


def join(key: SigningKey = LYON, voucher: SigningKey = TOKEN, site: str = "lyon") -> Request:
    return Request(site, key.public, voucher.public)


async def test_a_centre_is_the_first_site(sites: Sites) -> None:
    centre = sites.get("central")

    assert centre.upstream is None
    assert centre.state is SiteState.ACTIVE
    assert sites.keys("central") == (CENTRE.public,)


async def test_a_centre_that_starts_again_writes_nothing(
    sites: Sites, database: Database, clock: ManualClock
) -> None:
    clock.forward(60)
    again = await at_centre(database, clock)

    assert again.get("central") == sites.get("central")
    assert (await journal_of("central", database, clock)).standing(Stream("central")).revision == 1


async def test_a_site_is_invited_joins_and_is_there_after_a_restart(
    sites: Sites, database: Database, clock: ManualClock
) -> None:
    await invite(sites, clock)
    clock.forward(60)
    record = await sites.admit(join())

    assert record.state is SiteState.ACTIVE
    assert record.labels == {"tier": "far"}
    assert record.joined_at == clock.now()
    sites.check("lyon", LYON.public)
    assert (await at_centre(database, clock)).all() == sites.all()


async def test_a_token_that_was_used_is_still_used_after_a_restart(
    sites: Sites, database: Database, clock: ManualClock
) -> None:
    await invite(sites, clock)
    record = await sites.admit(join())
    sites = await at_centre(database, clock)

    assert await sites.admit(join()) == record
    with pytest.raises(Forbidden, match="has been used"):
        await sites.admit(join(SigningKey.generate()))


async def test_a_refused_request_changes_nothing(sites: Sites, clock: ManualClock) -> None:
    await invite(sites, clock)
    clock.forward(3600)
    with pytest.raises(Forbidden, match="expired"):
        await sites.admit(join())

    assert sites.get("lyon").state is SiteState.INVITED
    assert sites.keys("lyon") == ()


async def test_a_new_token_replaces_the_one_before(sites: Sites, clock: ManualClock) -> None:
    second = SigningKey.generate()
    await invite(sites, clock)
    await invite(sites, clock, second)

    with pytest.raises(Forbidden, match="not the one"):
        await sites.admit(join())
    await sites.admit(join(voucher=second))


async def test_a_name_that_is_taken_is_not_given_again(sites: Sites, clock: ManualClock) -> None:
    await invite(sites, clock)
    await sites.admit(join())

    for name, state in (("lyon", "active"), ("central", "active")):
        with pytest.raises(Conflict, match=f"a site {name} already, and it is {state}"):
            await invite(sites, clock, name=name)
    assert sites.get("lyon").state is SiteState.ACTIVE


async def test_a_rule_that_refuses_leaves_no_invitation(sites: Sites, clock: ManualClock) -> None:
    record = SiteRecord("lyon", "paris", SiteState.INVITED)

    with pytest.raises(NotFound):
        await sites.invite(
            record, TOKEN.public, clock.now() + timedelta(hours=1), partial(hang, upstream="paris")
        )
    with pytest.raises(Forbidden):
        await sites.admit(join())


async def test_changes_are_rules_and_a_change_of_nothing_is_none(
    sites: Sites, database: Database, clock: ManualClock
) -> None:
    await invite(sites, clock)
    before = (await journal_of("central", database, clock)).standing(Stream("central")).revision

    await sites.change("lyon", lambda all_, one: relabel(one, {"tier": "far"}))
    assert (await journal_of("central", database, clock)).standing(Stream("central")).revision == before
    await sites.change("lyon", lambda all_, one: relabel(one, {"tier": "near"}))
    assert sites.get("lyon").labels == {"tier": "near"}
    with pytest.raises(NotFound):
        await sites.change("nice", unchanged)


async def test_a_revoked_site_is_let_in_no_more_and_may_be_removed_and_added_anew(
    sites: Sites, clock: ManualClock
) -> None:
    await invite(sites, clock)
    await sites.admit(join())
    with pytest.raises(Conflict, match="active"):
        await sites.remove("lyon")

    await sites.change("lyon", lambda all_, one: move_to(one, "revoked"))
    with pytest.raises(Forbidden, match="revoked"):
        sites.check("lyon", LYON.public)
    await sites.remove("lyon")

    with pytest.raises(Forbidden, match="not known"):
        sites.check("lyon", LYON.public)
    with pytest.raises(NotFound):
        await sites.remove("lyon")
    with pytest.raises(Forbidden, match="not the one"):
        await sites.admit(join())
    await invite(sites, clock, TOKEN)
    await sites.admit(join(SigningKey.generate()))


async def test_a_site_that_was_removed_before_it_joined_has_no_token(
    sites: Sites, clock: ManualClock
) -> None:
    await invite(sites, clock)
    await sites.remove("lyon")

    with pytest.raises(Forbidden, match="not the one"):
        await sites.admit(join())


async def test_the_key_of_a_centre_that_was_changed_is_entered_before_the_old_one(
    sites: Sites, clock: ManualClock
) -> None:
    new = SigningKey.generate()
    clock.forward(60)
    await sites.be_centre(new.public, "")

    assert sites.keys("central") == (new.public, CENTRE.public)
    assert sites.get("central").url == "https://central:9293"
    assert sites.get("central").keyed_at == clock.now()


async def test_other_sites_learn_by_the_feed(
    sites: Sites, database: Database, other_database: Database, clock: ManualClock
) -> None:
    await invite(sites, clock)
    await sites.admit(join())
    there, follower = (
        await journal_of("central", database, clock),
        await journal_of("lyon", other_database, clock),
    )
    learned = Sites(other_database, follower, clock, name="lyon", centre="central", keys=(CENTRE.public,))
    await learned.load()
    assert learned.keys("central") == (CENTRE.public,)

    await follow(there, follower, learned)
    assert learned.all() == sites.all()
    learned.check("lyon", LYON.public)

    await sites.change("lyon", lambda all_, one: move_to(one, "revoked"))
    await sites.remove("lyon")
    await follow(await journal_of("central", database, clock), follower, learned)
    assert set(learned.all()) == {"central"}
    restarted = Sites(other_database, follower, clock, name="lyon", centre="central")
    await restarted.load()
    assert restarted.all() == sites.all()


async def follow(source: Journal, follower: Journal, learned: Sites) -> None:
    """Bring the centre's records to a follower."""
    stream = Stream("central")
    part = await source.page(stream, follower.standing(stream).place)
    (page,) = lines.decode(part.encoded.splitlines())
    taken = await follower.take(page, learned.keys("central"), lambda connection, changes: None)
    await learned.learn(stream, taken.changes)


async def test_only_the_centre_has_anything_to_say_about_sites(
    sites: Sites, database: Database, other_database: Database, clock: ManualClock
) -> None:
    """A site that enters sites in its own stream, itself with another key for example, is not heard."""
    await invite(sites, clock)
    await sites.admit(join())
    liar = Sites(
        other_database, await journal_of("lyon", other_database, clock), clock, name="lyon", centre="lyon"
    )
    await liar.be_centre(SigningKey.generate().public, "https://evil")
    stream = Stream("lyon")
    lies = await journal_of("lyon", other_database, clock)
    (page,) = lines.decode((await lies.page(stream, Place())).encoded.splitlines())
    centre = await journal_of("central", database, clock)
    taken = await centre.take(page, (LYON.public,), lambda connection, changes: None)

    before = dict(sites.all())
    await sites.learn(stream, taken.changes)
    await sites.learn(Stream("central", Channel.COPIES), taken.changes)

    assert [change.id for change in taken.changes] == ["lyon"]
    assert sites.all() == before
    assert (await at_centre(database, clock)).all() == before
