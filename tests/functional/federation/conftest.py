from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.functional.federation.cast import Shifted, centre
from tests.functional.people import Peopled


@pytest.fixture
def clock() -> Shifted:
    """The centre's."""
    return Shifted()


@pytest.fixture
async def central(tmp_path: Path, clock: Shifted) -> AsyncIterator[Peopled]:
    """A centre that knows admin, alice, bob and carol, and no other site."""
    async with centre(tmp_path / "central", clock) as site:
        yield site
