from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.functional.clouds import Cloud, small_cloud
from tests.functional.moments import Moments, watched
from tests.functional.people import Peopled, peopled


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Peopled]:
    """A home that knows admin, alice, bob and carol."""
    async with peopled(tmp_path) as result:
        yield result


@pytest.fixture
async def moments() -> AsyncIterator[Moments]:
    """The write points of the sites of a test, as moments to wait for."""
    with watched() as moments:
        yield moments


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    """A centre and an edge, with a line that can be cut."""
    async with small_cloud(tmp_path) as result:
        yield result
