"""Who is who while no Keystone answers: over restarts, with a second Keystone, and until when."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from skerry.config import Config, KeystoneSection, PolicySection, UpstreamSection
from skerry.core.caller import Caller
from skerry.core.errors import AccountRefused, IdentityAway, NotAuthenticated
from skerry.identity.connect import upstream_credential
from skerry.identity.keystone import Keystone
from skerry.identity.policy import Policy
from tests.simulators.clock import ManualClock
from tests.simulators.keystone import LAB, KeystoneSimulator

Start = Callable[..., Awaitable[Keystone]]


async def read(identity: Keystone, token: str) -> Caller:
    return await identity.identify({"X-Auth-Token": token}, write=False)


async def write(identity: Keystone, token: str) -> Caller:
    return await identity.identify({"X-Auth-Token": token}, write=True)


async def still_reads(identity: Keystone, token: str) -> bool:
    with suppress(NotAuthenticated):
        return bool(await read(identity, token))
    return False


async def refused(simulator: KeystoneSimulator) -> None:
    await simulator.stop()


async def swallowed(simulator: KeystoneSimulator) -> None:
    simulator.there.clear()


async def in_trouble(simulator: KeystoneSimulator) -> None:
    simulator.answer = lambda: web.Response(status=503)


Failure = Callable[[KeystoneSimulator], Awaitable[None]]
FAILURES: list[Failure] = [refused, swallowed, in_trouble]


@pytest.fixture
async def start(section: KeystoneSection, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Start]:
    """Start the site, also with other settings. Whoever started is stopped first."""
    async with AsyncExitStack() as stack:

        async def started(**changed: str) -> Keystone:
            await stack.aclose()
            settings = msgspec.structs.replace(section, **changed)
            identity = Keystone(settings, Policy(PolicySection()), clock, tmp_path)
            stack.push_async_callback(identity.close)
            return identity

        yield started


@pytest.fixture
async def central(clock: ManualClock) -> AsyncIterator[KeystoneSimulator]:
    """The central Keystone; `simulator` is the site's own."""
    keystone = KeystoneSimulator(clock)
    await keystone.start()
    yield keystone
    keystone.there.set()
    await keystone.stop()


@pytest.mark.parametrize("fail", FAILURES)
async def test_a_restarted_site_that_is_cut_off_knows_who_was_there_before_and_lets_them_read_alone(
    start: Start, simulator: KeystoneSimulator, clock: ManualClock, fail: Failure
) -> None:
    before = await read(await start(), simulator.token("ann-1", "reader", lifetime=1000))
    await fail(simulator)
    identity = await start()
    assert await read(identity, "ann-1") == before
    with pytest.raises(IdentityAway, match="writing needs a fresh check"):
        await write(identity, "ann-1")
    with pytest.raises(IdentityAway, match="was not checked before"):
        await read(identity, simulator.token("ben-1", "reader"))
    clock.forward(1001)
    with pytest.raises(IdentityAway):
        await read(identity, "ann-1")


async def test_a_restarted_site_asks_keystone_first_where_it_answers(
    start: Start, simulator: KeystoneSimulator
) -> None:
    await read(await start(), simulator.token("ann-1", "reader"))
    identity = await start()
    simulator.revoke("ann-1")
    with pytest.raises(NotAuthenticated):
        await read(identity, "ann-1")


async def test_a_token_revoked_while_the_site_was_cut_off_is_forgotten_when_keystone_answers_again(
    start: Start, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    identity = await start()
    await read(identity, simulator.token("ann-1", "reader"))
    clock.forward(301)
    simulator.there.clear()
    simulator.revoke("ann-1")
    assert (await read(identity, "ann-1")).user_id == "ann"
    simulator.there.set()
    async with asyncio.timeout(20):
        while await still_reads(identity, "ann-1"):  # noqa: ASYNC110  (noticed by a probe in the background)
            await asyncio.sleep(0.01)
    await simulator.stop()
    with pytest.raises(IdentityAway):
        await read(await start(), "ann-1")


@pytest.mark.parametrize("fail", FAILURES)
async def test_the_central_keystone_is_asked_when_the_sites_own_fails(
    start: Start, simulator: KeystoneSimulator, central: KeystoneSimulator, fail: Failure
) -> None:
    identity = await start(fallback_auth_url=central.url)
    central.token("ann-1", "reader")
    await fail(simulator)
    assert (await write(identity, "ann-1")).user_id == "ann"
    asked = simulator.issued
    central.token("ann-2", "reader")
    async with asyncio.timeout(0.2):
        assert (await write(identity, "ann-2")).user_id == "ann"
    assert simulator.issued == asked


async def test_the_first_keystone_that_answers_decides(
    start: Start, simulator: KeystoneSimulator, central: KeystoneSimulator
) -> None:
    identity = await start(fallback_auth_url=central.url)
    central.token("ann-1", "reader")
    with pytest.raises(NotAuthenticated):
        await read(identity, "ann-1")
    assert central.looked == 0


async def test_when_both_keystones_fail_what_was_seen_before_counts_and_the_refusal_names_both_causes(
    start: Start, simulator: KeystoneSimulator, central: KeystoneSimulator
) -> None:
    await read(await start(), simulator.token("ann-1", "reader"))
    simulator.there.clear()
    await central.stop()
    identity = await start(fallback_auth_url=central.url)
    assert (await read(identity, "ann-1")).user_id == "ann"
    with pytest.raises(IdentityAway) as failed:
        await read(identity, "ann-2")
    assert f"Keystone at {simulator.url} does not answer within 0.3 s, " in str(failed.value)
    assert f"Keystone at {central.url} cannot be reached" in str(failed.value)


async def test_the_sites_own_token_comes_from_the_central_keystone_when_its_own_is_away(
    section: KeystoneSection, simulator: KeystoneSimulator, central: KeystoneSimulator, clock: ManualClock
) -> None:
    keystone = msgspec.structs.replace(section, fallback_auth_url=central.url)
    config = Config(keystone=keystone, upstream=UpstreamSection(url="http://centre", auth="keystone"))
    credential = upstream_credential(config, clock)
    await simulator.stop()
    await credential.headers()
    assert central.issued == 1
    await credential.close()


async def test_an_account_that_both_keystones_refuse_is_the_sites_fault(
    section: KeystoneSection, central: KeystoneSimulator, clock: ManualClock
) -> None:
    keystone = msgspec.structs.replace(section, fallback_auth_url=central.url, password="wrong")
    config = Config(keystone=keystone, upstream=UpstreamSection(url="http://centre", auth="keystone"))
    credential = upstream_credential(config, clock)
    with pytest.raises(AccountRefused, match=r"Correct \[keystone\] username"):
        await credential.headers()
    await credential.close()


@pytest.mark.parametrize("rules", [[], [{"service": "image", "method": "GET", "path": "/v2/images"}]])
async def test_a_token_with_access_rules_is_refused_with_the_reason(
    start: Start, simulator: KeystoneSimulator, rules: list[dict[str, str]]
) -> None:
    identity = await start()
    simulator.token("limited", "reader", project=LAB, application_credential={"access_rules": rules})
    with pytest.raises(NotAuthenticated, match="with access rules"):
        await read(identity, "limited")
    assert identity.known({"X-Auth-Token": "limited"}) is None


async def test_an_application_credential_without_access_rules_is_as_good_as_its_user(
    start: Start, simulator: KeystoneSimulator
) -> None:
    simulator.token("free", "reader", project=LAB, application_credential={"id": "a", "name": "a"})
    assert (await read(await start(), "free")).project_id == "lab"
