"""What a program costs: memory and processor time of a process and all its descendants, from /proc."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SAMPLED_EVERY = 0.05
MB = 1_000_000


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for member in found:  # grows while it is walked
        with suppress(OSError):
            for children in Path(f"/proc/{member}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def processor_time(pid: int) -> float:
    """Seconds (user and system) that the family has used so far."""
    return sum(_ticks(member) for member in family(pid)) / TICK


def machine_time() -> float:
    """Seconds of all processors that all programs have used since boot (proc(5): user, nice, system)."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(map(int, fields[1:4])) / TICK


def own_time() -> float:
    """Seconds that this process, its descendants, and those of them that have ended have used so far."""
    return sum(_ticks(member, ended=True) for member in family(os.getpid())) / TICK


def _ticks(pid: int, *, ended: bool = False) -> int:
    """utime and stime of a process, with `ended` also of children that it waited for; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11 : 15 if ended else 13]))


def resident(pid: int) -> float:
    """Resident memory of the family in MB (10^6 bytes): the sum of `Rss` in smaps_rollup."""
    total = 0
    for member in family(pid):
        with suppress(OSError):
            found = re.search(
                r"^Rss:\s+(\d+) kB", Path(f"/proc/{member}/smaps_rollup").read_text(), re.MULTILINE
            )
            total += int(found[1]) if found else 0
    return total * 1024 / MB


def highest_resident(pid: int | str = "self") -> float:
    """The most resident memory that a process has had, in MB (proc(5): VmHWM)."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / MB if found else 0.0


@dataclass
class Peak:
    """The highest value seen so far."""

    value: float = 0.0


@contextmanager
def peak_resident(pid: int) -> Iterator[Peak]:
    """Watch the family's resident memory while the block runs."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while True:
            peak.value = max(peak.value, resident(pid))
            if over.wait(SAMPLED_EVERY):
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()
