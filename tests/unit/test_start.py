"""What a site loads when it starts: the less, the sooner it answers."""

import subprocess
import sys

import pytest

from skerry.api import routes
from skerry.api.routes import Later

_OF_OTHERS = ("skerry.members", "skerry.sync", "skerry.core.placement", "cryptography")
_OF_FEW = ("prometheus_client", "numpy", "skerry.chunking", "psycopg")
_LOADED = "import sys, skerry.cli.serve, skerry.service; print(*sys.modules)"


def test_a_site_that_stands_alone_loads_nothing_of_what_belongs_to_several() -> None:
    loaded = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    unwanted = (*_OF_OTHERS, *_OF_FEW)
    assert "skerry.service" in loaded.stdout.split()
    assert [name for name in loaded.stdout.split() if name.startswith(unwanted)] == []


@pytest.mark.parametrize("table", ["OPEN", "NEWCOMERS", "BETWEEN", "READ", "LOCAL", "WRITE", "CENTRAL"])
def test_every_handler_that_is_loaded_later_is_there(table: str) -> None:
    for methods in getattr(routes, table).values():
        for handler in methods.values():
            assert callable(handler.load() if isinstance(handler, Later) else handler)
