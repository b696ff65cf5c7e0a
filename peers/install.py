"""Get the programs: Debian packages, two virtual environments, and packages that are unpacked, not installed.

Everything but the Debian packages lands in one folder (`SKERRY_PEERS_HOME`) and stays there between runs, so
only the first run takes minutes. Versions from PyPI are those in `constraints/`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import sysconfig
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from peers.process import PeerError, run

HOME = Path(os.environ.get("SKERRY_PEERS_HOME") or Path.home() / ".cache" / "skerry-peers")
CONSTRAINTS = Path(__file__).parent / "constraints"

COMMANDS = {
    "casync": ("casync",),
    "curl": ("curl",),
    "gcc": ("gcc", "libc6-dev"),  # uWSGI has no wheel
    "grub-mkimage": ("grub-common",),
    "mariadbd": ("mariadb-server-core",),
    "my_print_defaults": ("mariadb-client-core",),  # mariadb-install-db calls it
    "mkfs.ext4": ("e2fsprogs",),
    "mmdebstrap": ("mmdebstrap",),
    "nbdkit": ("nbdkit",),
    "postgres": ("postgresql",),
    "qemu-img": ("qemu-utils",),
    "qemu-system-x86_64": ("qemu-system-x86", "qemu-block-extra"),
    "rsync": ("rsync",),
    "wrk": ("wrk",),
    "xdelta3": ("xdelta3",),
    "zstd": ("zstd",),
    "zsync": ("zsync",),
}
UNPACKED = ("nginx", "grub-rescue-pc", "grub-pc-bin", "busybox-static", "linux-image-cloud-amd64")
NAMES_ANOTHER = ("linux-image-cloud-amd64",)
"""Packages that are empty, and depend on the one that has the files of the day."""

REQUIREMENTS = {
    "server": ("keystone", "glance", "uwsgi", "PyMySQL", "setuptools"),
    "client": ("python-openstackclient", "openstacksdk"),
}


def program(name: str) -> Path:
    """Path of a program that a Debian package brings; `PeerError` when it is not installed."""
    found = _which(name)
    if found is None:
        raise PeerError(f"no {name} on this machine; run: python -m peers install")
    return Path(found)


def environment(name: str) -> Path:
    """Folder of the virtual environment `name`, a key of `REQUIREMENTS`."""
    folder = HOME / f"venv-{name}"
    if not (folder / ".complete").exists():
        raise PeerError(f"no {folder}; run: python -m peers install")
    return folder


def install() -> None:
    """Get everything that is not here yet; safe to run again and at the same time as another run."""
    HOME.mkdir(parents=True, exist_ok=True)
    with _locked(HOME / ".lock"):
        _install_debian_packages()
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(_install_environment, REQUIREMENTS):
                pass
        for package in UNPACKED:
            unpacked(package)


def unpacked(package: str) -> Path:
    """Folder with the files of a Debian package, fetched, not installed: no service starts, no hook runs."""
    folder = HOME / "unpacked" / package
    if not folder.exists():
        partial = folder.with_name(f"{package}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        # apt's sandbox user may not write here; as root it only warns about that
        run("apt-get", "download", "-q", _with_files(package), cwd=partial)
        (archive,) = partial.glob("*.deb")
        run("dpkg", "--extract", archive, partial)
        partial.rename(folder)
    return folder


def _with_files(package: str) -> str:
    if package not in NAMES_ANOTHER:
        return package
    said = run("apt-cache", "depends", "--important", package).splitlines()
    return next(line.split()[1] for line in said if line.strip().startswith("Depends:"))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install_debian_packages() -> None:
    absent = (command for command in COMMANDS if not _which(command))
    missing = [package for command in absent for package in COMMANDS[command]]
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append("python3-dev")
    if missing or not all((HOME / "unpacked" / name).exists() for name in UNPACKED):
        run("apt-get", "update", "-q")
    if missing:
        options = ("-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300")
        with _no_cluster_of_the_system():
            run("apt-get", "install", *options, *missing, env={"DEBIAN_FRONTEND": "noninteractive"})


def _which(name: str) -> str | None:
    places = [Path("/usr/sbin"), Path("/sbin"), *Path("/usr/lib/postgresql").glob("*/bin")]
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, places)]))


@contextlib.contextmanager
def _no_cluster_of_the_system() -> Iterator[None]:
    """While it is installed, Debian's PostgreSQL makes a cluster and starts it, unless told otherwise."""
    told = Path("/etc/postgresql-common/createcluster.d/skerry-peers.conf")
    told.parent.mkdir(parents=True, exist_ok=True)
    told.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        told.unlink()


def _install_environment(name: str) -> None:
    folder, constraints = HOME / f"venv-{name}", CONSTRAINTS / f"{name}.txt"
    wanted = "\n".join([sys.version, *REQUIREMENTS[name], constraints.read_text()])
    complete = folder / ".complete"
    if complete.exists() and complete.read_text() == wanted:
        return
    venv.create(folder, clear=True, with_pip=True)
    run(folder / "bin" / "pip", "install", "-q", "-c", constraints, *REQUIREMENTS[name])
    complete.write_text(wanted)
