from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.chunking.disks import Images


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Images]:
    found = Images(tmp_path)
    yield found
    found.close()
