"""What this site shows its upstream."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from skerry.config import Config, KeystoneSection, UpstreamSection
from skerry.core.errors import AccountRefused, IdentityAway
from skerry.identity.connect import upstream_credential
from skerry.identity.credential import Credential
from tests.simulators.clock import ManualClock
from tests.simulators.keystone import KeystoneSimulator


@pytest.fixture
def config(section: KeystoneSection) -> Config:
    return Config(keystone=section, upstream=UpstreamSection(url="http://centre", auth="keystone"))


@pytest.fixture
async def credential(config: Config, clock: ManualClock) -> AsyncIterator[Credential]:
    credential = upstream_credential(config, clock)
    yield credential
    await credential.close()


async def test_without_one_nothing_is_sent(clock: ManualClock) -> None:
    credential = upstream_credential(Config(), clock)
    assert await credential.headers() == {}
    assert await credential.refresh({}) == {}
    await credential.close()


async def test_a_user_and_a_password_are_sent_as_they_are(clock: ManualClock) -> None:
    upstream = UpstreamSection(url="http://centre", auth="http_basic", username="lyon", password="p:ä")
    credential = upstream_credential(Config(upstream=upstream), clock)
    headers = await credential.headers()
    assert headers == {"Authorization": "Basic bHlvbjpwOsOk"}
    assert await credential.refresh(headers) == headers
    await credential.close()


async def test_one_token_is_used_until_shortly_before_it_expires(
    credential: Credential, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    first = await credential.headers()
    clock.forward(3400)
    assert await credential.headers() == first
    clock.forward(100)
    assert await credential.headers() != first
    assert simulator.issued == 2


async def test_a_token_about_to_expire_is_used_when_keystone_gives_no_other(
    credential: Credential, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    first = await credential.headers()
    simulator.there.clear()
    clock.forward(3500)
    assert await credential.headers() == first
    clock.forward(100)
    with pytest.raises(IdentityAway, match="does not answer"):
        await credential.headers()


async def test_requests_that_were_refused_together_share_one_new_token(
    credential: Credential, simulator: KeystoneSimulator
) -> None:
    old = await credential.headers()
    new = await asyncio.gather(*(credential.refresh(old) for _ in range(10)))
    assert new == [{"X-Auth-Token": "own-2"}] * 10
    assert await credential.refresh(old) == {"X-Auth-Token": "own-2"}
    assert simulator.issued == 2


async def test_a_wrong_password_is_told_from_a_keystone_that_is_away(
    config: Config, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    wrong = msgspec.structs.replace(config, keystone=msgspec.structs.replace(config.keystone, password="no"))
    credential = upstream_credential(wrong, clock)
    with pytest.raises(AccountRefused, match=r"Correct \[keystone\] username"):
        await credential.headers()
    await credential.close()


async def test_an_address_without_the_version_is_completed(
    config: Config, simulator: KeystoneSimulator, clock: ManualClock
) -> None:
    keystone = msgspec.structs.replace(config.keystone, auth_url=simulator.url.removesuffix("v3"))
    credential = upstream_credential(msgspec.structs.replace(config, keystone=keystone), clock)
    assert await credential.headers() == {"X-Auth-Token": "own-1"}
    await credential.close()
