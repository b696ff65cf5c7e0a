"""The neighbourhood: one Keystone, one stock Glance, a web server, a central Skerry and edges below it.

Everything is installed and started once for the whole run. What cannot be installed or started fails the
tests with the reason; nothing is skipped. Each service is a region in Keystone's catalogue, as in the field.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from peers import images
from peers.glance import Glance
from peers.install import install, program
from peers.keystone import REGION, Keystone
from peers.mariadb import MariaDB
from peers.nginx import Nginx
from peers.place import Place
from peers.process import run
from peers.skerry import Settings, Skerry


@pytest.fixture(scope="session")
def installed() -> None:
    install()


@pytest.fixture(scope="session")
def folder(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="session")
def mariadb(folder: Path) -> Iterator[MariaDB]:
    with MariaDB(folder / "mariadb") as running:
        yield running


@pytest.fixture(scope="session")
def keystone(folder: Path, mariadb: MariaDB) -> Iterator[Keystone]:
    with Keystone(folder / "keystone", mariadb) as running:
        yield running


@pytest.fixture(scope="session")
def web(folder: Path) -> Iterator[Nginx]:
    """A web server from which web-download may fetch; tests put files into `web.served`."""
    served = folder / "web"
    served.mkdir()
    with Nginx(folder / "nginx", served) as running:
        yield running


@pytest.fixture(scope="session")
def glance(folder: Path, mariadb: MariaDB, keystone: Keystone, web: Nginx) -> Iterator[Glance]:
    with Glance(folder / "glance", mariadb, keystone, web_port=web.port) as running:
        yield running


@pytest.fixture(scope="session")
def start_site(folder: Path, keystone: Keystone, web: Nginx) -> Iterator[Callable[..., Skerry]]:
    """Start a Skerry site with its own name and settings; it stops with the run."""
    web_download = {"allowed_ports": [web.port], "allowed_networks": ["127.0.0.1/32"]}
    with contextlib.ExitStack() as running:

        def start(name: str, settings: Settings | None = None) -> Skerry:
            site = Skerry(folder / name, {"imports": web_download, **(settings or {})}, keystone=keystone)
            return running.enter_context(site)

        yield start


@pytest.fixture(scope="session")
def enrol(keystone: Keystone) -> Callable[..., Place]:
    """Put an image service into Keystone's catalogue, as a region."""

    def enrolled(region: str, url: str) -> Place:
        keystone.register(url, region)
        return Place(region, url, keystone)

    return enrolled


@pytest.fixture(scope="session")
def stock(glance: Glance, enrol: Callable[..., Place]) -> Place:
    """The stock Glance: it says whether a test states what the field has, and not only what Skerry does."""
    return enrol("stock", glance.url)


@pytest.fixture(scope="session")
def central_site(start_site: Callable[..., Skerry]) -> Skerry:
    return start_site("centre")


@pytest.fixture(scope="session")
def centre(central_site: Skerry, enrol: Callable[..., Place]) -> Place:
    return enrol(REGION, central_site.url)


@pytest.fixture(scope="session")
def edge(centre: Place, start_site: Callable[..., Skerry], enrol: Callable[..., Place]) -> Place:
    """An edge below the central site, with the settings that it has when nobody changes them."""
    site = start_site("edge", {"upstream": {"url": centre.url, "auth": "keystone"}})
    return enrol("edge", site.url)


@pytest.fixture(scope="session", params=["stock", "centre", "edge"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each image service in turn: whoever asks cannot tell which it is."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Place)
    return found


@pytest.fixture(scope="session", params=["centre", "edge"])
def site(request: pytest.FixtureRequest) -> Place:
    """Each kind of Skerry site in turn, for what a stock Glance does otherwise."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Place)
    return found


@pytest.fixture(scope="session")
def bootable_iso(installed: None) -> Path:
    return images.bootable_iso()


@pytest.fixture(scope="session")
def debian_qcow2(installed: None) -> Path:
    return images.debian_qcow2()


@pytest.fixture
def small_qcow2(installed: None, tmp_path: Path) -> Path:
    """A qcow2 with three megabytes that nobody has seen before."""
    raw, qcow2 = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    raw.write_bytes(os.urandom(3 << 20))
    run(program("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", raw, qcow2)
    return qcow2
