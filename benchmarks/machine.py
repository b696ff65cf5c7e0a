"""The machine: what it is, and its memory made ready."""

import datetime
import mmap
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.processes import machine_time, own_time
from peers.install import environment, program, unpacked
from peers.process import run

GIB = 1 << 30


def touch_memory(most: int = 16) -> None:
    """Have every page that the run may need touched once.

    A virtual machine may get its memory from the host only when it is first touched, at seconds a GiB:
    whoever is measured first would pay for that. A process of its own touches up to `most` GiB and ends.
    """
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    count = max(0, min(most, available // GIB - 2))
    code = (
        "import mmap\n"
        f"held = [mmap.mmap(-1, {GIB}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | {mmap.MAP_POPULATE})"
        f" for _ in range({count})]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def facts(*, peers: bool = True) -> dict[str, Any]:
    """Where and when this is measured, and with which versions, also those of the `peers`."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": _versions() if peers else {"skerry": version("skerry")},
    }


@contextmanager
def watched(measured: dict[str, Any]) -> Iterator[None]:
    """Add `others` to the facts: the share of the processors that other programs used meanwhile."""
    began, all_before, own_before = time.monotonic(), machine_time(), own_time()
    yield
    theirs = (machine_time() - all_before) - (own_time() - own_before)
    measured["others"] = round(max(0.0, theirs) / ((time.monotonic() - began) * (os.cpu_count() or 1)), 3)


def _versions() -> dict[str, str]:
    found = {name: version(name) for name in ("skerry", "aiohttp", "uvloop")}
    code = (
        "from importlib.metadata import version; [print(version(n)) for n in ('glance', 'keystone', 'uwsgi')]"
    )
    numbers = run(environment("server") / "bin" / "python", "-c", code).split()
    found |= zip(("glance", "keystone", "uwsgi"), numbers, strict=True)
    for name, command in {
        "mariadb": (program("mariadbd"), "--version"),
        "curl": (program("curl"), "--version"),
        "nginx": (unpacked("nginx") / "usr/sbin/nginx", "-v"),
        "wrk": (program("wrk"), "--version"),
    }.items():
        said = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        number = re.search(r"\d+\.\d+[\w.]*", said.stdout + said.stderr)
        found[name] = number[0] if number else "unknown"
    return found
