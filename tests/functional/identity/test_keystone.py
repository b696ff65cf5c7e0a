"""Tokens, checked with a Keystone that is there, slow, broken or away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from skerry.config import KeystoneSection, PolicySection
from skerry.core.caller import Caller
from skerry.core.errors import IdentityAway, NotAuthenticated
from skerry.core.units import Duration
from skerry.identity.keystone import Keystone
from skerry.identity.policy import Policy
from tests.simulators.clock import ManualClock
from tests.simulators.keystone import KeystoneSimulator


async def read(identity: Keystone, token: str) -> Caller:
    return await identity.identify({"X-Auth-Token": token}, write=False)


async def write(identity: Keystone, token: str) -> Caller:
    return await identity.identify({"X-Auth-Token": token}, write=True)


async def cut(simulator: KeystoneSimulator) -> None:
    simulator.there.clear()


async def break_down(simulator: KeystoneSimulator) -> None:
    simulator.answer = lambda: web.Response(status=500)


async def talk_nonsense(simulator: KeystoneSimulator) -> None:
    simulator.answer = lambda: web.Response(status=200, text="<html>Welcome</html>")


async def hide_behind_a_proxy(simulator: KeystoneSimulator) -> None:
    simulator.answer = lambda: web.Response(status=404, text="<html>no such page</html>")


async def redirect(simulator: KeystoneSimulator) -> None:
    simulator.answer = lambda: web.Response(status=302, headers={"Location": "http://evil.example/"})


async def drown(simulator: KeystoneSimulator) -> None:
    simulator.answer = lambda: web.Response(status=200, body=b" " * (2 << 20))


async def forbid(simulator: KeystoneSimulator) -> None:
    simulator.may_check = False


async def stop(simulator: KeystoneSimulator) -> None:
    await simulator.stop()


async def write_when_back(identity: Keystone, token: str) -> Caller:
    """Try until Keystone is known to be back: what fails at once sends nothing, so this does not wake it."""
    async with asyncio.timeout(20):
        while True:
            with suppress(IdentityAway):
                return await write(identity, token)
            await asyncio.sleep(0.01)


Failure = Callable[[KeystoneSimulator], Awaitable[None]]
FAILURES: list[Failure] = [cut, break_down, talk_nonsense, hide_behind_a_proxy, redirect, drown, forbid, stop]


async def test_a_token_says_who_its_caller_is(identity: Keystone, simulator: KeystoneSimulator) -> None:
    simulator.token("ann-1", "Member", "reader")
    assert await read(identity, "ann-1") == Caller(
        user_id="ann",
        user_domain_id="default",
        project_id="lab",
        project_domain_id="default",
        roles=frozenset({"member", "reader"}),
    )


async def test_the_role_admin_makes_an_administrator(
    identity: Keystone, simulator: KeystoneSimulator
) -> None:
    simulator.token("root", "admin")
    assert (await read(identity, "root")).is_admin


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({"system": {"all": True}}, ("all", None)),
        ({"domain": {"id": "d1", "name": "D"}}, (None, "d1")),
        ({"project": None}, (None, None)),
    ],
)
async def test_a_token_that_is_not_for_a_project_has_none(
    identity: Keystone, simulator: KeystoneSimulator, scope: dict[str, Any], expected: tuple[str, str]
) -> None:
    simulator.token("wide", "reader", **scope)
    caller = await read(identity, "wide")
    assert caller.project_id is None
    assert (caller.system_scope, caller.domain_id) == expected


async def test_nothing_that_a_client_says_about_itself_is_believed(identity: Keystone) -> None:
    claims = {"X-Identity-Status": "Confirmed", "X-User-Id": "root", "X-Project-Id": "p", "X-Roles": "admin"}
    assert identity.known(claims) is None
    with pytest.raises(NotAuthenticated):
        await identity.identify(claims, write=False)


@pytest.mark.parametrize("token", ["", "with space", "line\r\nX-Evil: 1", "nul\0", "ü", "\udcff", "x" * 8193])
async def test_what_cannot_be_a_token_never_reaches_keystone(
    identity: Keystone, simulator: KeystoneSimulator, token: str
) -> None:
    assert identity.known({"X-Auth-Token": token}) is None
    with pytest.raises(NotAuthenticated):
        await read(identity, token)
    assert (simulator.issued, simulator.looked) == (0, 0)


async def test_an_unknown_token_is_refused(identity: Keystone) -> None:
    with pytest.raises(NotAuthenticated, match="wrong, expired or revoked"):
        await read(identity, "guessed")


async def test_a_checked_token_is_believed_without_asking_again_for_as_long_as_configured(
    identity: Keystone, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    headers = {"X-Auth-Token": simulator.token("ann-1", "reader")}
    assert identity.known(headers) is None
    caller = await read(identity, "ann-1")
    clock.forward(299)
    assert identity.known(headers) == caller
    await write(identity, "ann-1")
    assert simulator.looked == 1
    clock.forward(2)
    assert identity.known(headers) is None
    await read(identity, "ann-1")
    assert simulator.looked == 2


async def test_a_token_is_not_believed_past_its_own_expiry(
    identity: Keystone, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    headers = {"X-Auth-Token": simulator.token("short", "reader", lifetime=60)}
    await read(identity, "short")
    clock.forward(61)
    assert identity.known(headers) is None


async def test_a_revoked_token_is_refused_once_it_is_checked_again_and_stays_refused_when_keystone_is_away(
    identity: Keystone, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    simulator.token("ann-1", "reader")
    await read(identity, "ann-1")
    simulator.revoke("ann-1")
    clock.forward(301)
    with pytest.raises(NotAuthenticated):
        await read(identity, "ann-1")
    simulator.there.clear()
    with pytest.raises(IdentityAway):
        await read(identity, "ann-1")


async def test_requests_with_the_same_token_share_one_check(
    identity: Keystone, simulator: KeystoneSimulator
) -> None:
    simulator.token("ann-1", "reader")
    callers = await asyncio.gather(*(read(identity, "ann-1") for _ in range(20)))
    assert len(set(callers)) == 1
    assert (simulator.issued, simulator.looked) == (1, 1)


async def test_a_client_that_goes_away_does_not_end_the_check_for_the_others(
    identity: Keystone, simulator: KeystoneSimulator
) -> None:
    simulator.token("ann-1", "reader")
    simulator.there.clear()
    leaving, staying = (asyncio.create_task(read(identity, "ann-1")) for _ in range(2))
    await simulator.asked.wait()
    leaving.cancel()
    simulator.there.set()
    assert (await staying).user_id == "ann"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_site_gets_a_new_token_of_its_own_when_keystone_refuses_the_old_one(
    identity: Keystone, simulator: KeystoneSimulator
) -> None:
    await read(identity, simulator.token("ann-1", "reader"))
    simulator.revoke_own()
    assert (await read(identity, simulator.token("ann-2", "reader"))).user_id == "ann"
    assert simulator.issued == 2


async def test_a_site_gets_a_new_token_of_its_own_before_the_old_one_expires(
    identity: Keystone, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    await read(identity, simulator.token("ann-1", "reader"))
    clock.forward(3500)
    await read(identity, simulator.token("ann-2", "reader"))
    assert simulator.issued == 2


@pytest.mark.parametrize("fail", FAILURES)
async def test_while_keystone_fails_an_old_check_is_good_for_reading_until_the_token_expires(
    identity: Keystone, simulator: KeystoneSimulator, clock: ManualClock, fail: Failure
) -> None:
    simulator.token("ann-1", "reader", lifetime=1000)
    caller = await read(identity, "ann-1")
    await fail(simulator)
    clock.forward(301)
    assert await read(identity, "ann-1") == caller
    with pytest.raises(IdentityAway, match="writing needs a fresh check"):
        await write(identity, "ann-1")
    clock.forward(700)
    with pytest.raises(IdentityAway):
        await read(identity, "ann-1")


@pytest.mark.parametrize("fail", FAILURES)
async def test_while_keystone_fails_a_token_never_seen_is_refused_with_the_cause(
    identity: Keystone, simulator: KeystoneSimulator, fail: Failure
) -> None:
    await read(identity, simulator.token("ann-1", "reader"))
    await fail(simulator)
    with pytest.raises(
        IdentityAway, match=r"Keystone at http://127\.0\.0\.1.*was not checked before"
    ) as failed:
        await read(identity, simulator.token("ann-2", "reader"))
    assert failed.value.retry_after


async def test_nobody_waits_for_a_keystone_known_to_be_away_and_its_return_is_noticed_without_a_request(
    identity: Keystone, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    await read(identity, simulator.token("ann-1", "reader"))
    simulator.token("ann-2", "reader")
    clock.forward(301)
    simulator.there.clear()
    with pytest.raises(IdentityAway):
        await write(identity, "ann-1")
    asked = simulator.issued + simulator.looked
    requests = [read(identity, "ann-1"), read(identity, "ann-2"), write(identity, "ann-1")]
    answers = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(answers[0], Caller)
    assert all(isinstance(answer, IdentityAway) for answer in answers[1:])
    assert simulator.issued + simulator.looked == asked
    simulator.there.set()
    assert (await write_when_back(identity, "ann-2")).user_id == "ann"


async def test_once_keystone_has_been_slow_nobody_with_an_old_check_waits_until_it_is_heard(
    section: KeystoneSection, simulator: KeystoneSimulator, clock: ManualClock, tmp_path: Path
) -> None:
    patient = msgspec.structs.replace(section, timeout=Duration(4))
    identity = Keystone(patient, Policy(PolicySection()), clock, tmp_path)
    await read(identity, simulator.token("ann-1", "reader"))
    await read(identity, simulator.token("ben-1", "reader", user="ben"))
    clock.forward(301)
    simulator.there.clear()
    await read(identity, "ann-1")
    async with asyncio.timeout(0.5):
        assert (await read(identity, "ben-1")).user_id == "ben"
    await identity.close()


async def test_who_was_checked_before_does_not_wait_long_for_a_slow_keystone_which_is_heard_nevertheless(
    section: KeystoneSection, simulator: KeystoneSimulator, clock: ManualClock, tmp_path: Path
) -> None:
    patient = msgspec.structs.replace(section, timeout=Duration(4))
    identity = Keystone(patient, Policy(PolicySection()), clock, tmp_path)
    await read(identity, simulator.token("ann-1", "reader"))
    clock.forward(301)
    simulator.there.clear()
    assert (await read(identity, "ann-1")).user_id == "ann"
    simulator.there.set()
    assert (await write(identity, "ann-1")).user_id == "ann"
    assert simulator.looked == 2
    await identity.close()


async def test_the_log_says_once_that_keystone_is_away_and_once_that_it_is_back(
    identity: Keystone, simulator: KeystoneSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "skerry")
    await break_down(simulator)
    for _ in range(3):
        with pytest.raises(IdentityAway):
            await read(identity, "ann-1")
    simulator.asked.clear()
    await simulator.asked.wait()
    simulator.answer = None
    await write_when_back(identity, simulator.token("ann-1", "reader"))
    said = [record.getMessage() for record in caplog.records if record.name.startswith("skerry")]
    assert said == [
        f"Keystone at {simulator.url} gives this site no token (HTTP 500)",
        f"Keystone at {simulator.url} answers again",
    ]


async def test_a_wrong_account_of_the_site_is_the_sites_fault_and_not_the_callers(
    strangers: Keystone, simulator: KeystoneSimulator
) -> None:
    with pytest.raises(IdentityAway, match="refuses this site's account"):
        await read(strangers, simulator.token("ann-1", "reader"))
    with pytest.raises(IdentityAway, match="refuses this site's account"):
        await read(strangers, "ann-1")
    assert simulator.issued == 1


async def test_a_flood_of_guessed_tokens_neither_fills_the_memory_nor_hides_who_is_known(
    identity: Keystone, simulator: KeystoneSimulator
) -> None:
    headers = {"X-Auth-Token": simulator.token("ann-1", "reader")}
    caller = await read(identity, "ann-1")
    guesses = await asyncio.gather(
        *(read(identity, f"guess-{n}") for n in range(200)), return_exceptions=True
    )
    assert all(isinstance(guess, NotAuthenticated) for guess in guesses)
    assert identity.known(headers) == caller


async def test_closing_ends_checks_that_are_under_way(
    identity: Keystone, simulator: KeystoneSimulator
) -> None:
    simulator.token("ann-1", "reader")
    simulator.there.clear()
    waiting = asyncio.create_task(read(identity, "ann-1"))
    await simulator.asked.wait()
    await identity.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_refusal_says_where_to_get_a_token(identity: Keystone, simulator: KeystoneSimulator) -> None:
    assert identity.challenge == f'Keystone uri="{simulator.url}"'
