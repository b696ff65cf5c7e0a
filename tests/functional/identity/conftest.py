from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from skerry.config import KeystoneSection, PolicySection
from skerry.core.units import Duration
from skerry.identity.keystone import Keystone
from skerry.identity.policy import Policy
from tests.simulators.clock import ManualClock
from tests.simulators.keystone import ACCOUNT, PASSWORD, KeystoneSimulator


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def simulator(clock: ManualClock) -> AsyncIterator[KeystoneSimulator]:
    keystone = KeystoneSimulator(clock)
    await keystone.start()
    yield keystone
    keystone.there.set()
    await keystone.stop()


@pytest.fixture
def section(simulator: KeystoneSimulator) -> KeystoneSection:
    return KeystoneSection(
        auth_url=simulator.url,
        username=ACCOUNT,
        password=PASSWORD,
        cache=Duration(300),
        timeout=Duration(0.3),
    )


@pytest.fixture
async def identity(section: KeystoneSection, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Keystone]:
    keystone = Keystone(section, Policy(PolicySection()), clock, tmp_path)
    yield keystone
    await keystone.close()


@pytest.fixture
async def strangers(section: KeystoneSection, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Keystone]:
    """A site whose own password is wrong."""
    wrong = msgspec.structs.replace(section, password="wrong")
    keystone = Keystone(wrong, Policy(PolicySection()), clock, tmp_path)
    yield keystone
    await keystone.close()
