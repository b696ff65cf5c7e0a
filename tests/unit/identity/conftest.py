from datetime import UTC, datetime

import pytest

from skerry.core.image import Image


@pytest.fixture
def image() -> Image:
    """A shared image of the project `lab`."""
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return Image(id="4b9a", created_at=now, updated_at=now, owner="lab")
