"""The processes around the centre, each spoken to in lines."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.clients import WrongAnswerError

HERDS = 2
"""Processes that the followers are spread over."""


class Spoken:
    """A process that answers each line with a line."""

    def __init__(self, module: str, *words: object) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", module, *map(str, words)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # or all helpers together have one share of a busy machine
        )

    def hear(self) -> str:
        """Its next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WrongAnswerError("A process of the benchmark has ended.")
        return line.strip()

    def say(self, line: str) -> None:
        """Tell it something."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.communicate()


@dataclass
class Report:
    """What all followers have seen, as (changed at, seen at), and what they were refused, by its kind."""

    seen: list[tuple[float, float]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def lags(self) -> list[float]:
        """Seconds from each change to each sighting, in order."""
        return sorted(at - changed for changed, at in self.seen)


class Herds:
    """Sites that follow."""

    def __init__(self, processes: list[Spoken]) -> None:
        self._processes = processes

    def report(self) -> Report:
        """What has happened since the last time."""
        for one in self._processes:
            one.say("report")
        found = Report()
        for one in self._processes:
            said = json.loads(one.hear())
            found.seen += [(changed, at) for changed, at in said["seen"]]
            found.refused.update(said["refused"])
        return found


@contextmanager
def herds(folder: Path, url: str, count: int) -> Iterator[Herds]:
    """The sites s0, s1 and so on, `count` of them, once all have been heard."""
    bounds = [count * number // HERDS for number in range(HERDS + 1)]
    with ExitStack() as stack:
        started = []
        for first, last in pairwise(bounds):
            one = Spoken("benchmarks.fleet.herd", folder, url, first, last)
            stack.callback(one.end)
            started.append(one)
        for one in started:
            one.hear()
        yield Herds(started)


@contextmanager
def line(port: int) -> Iterator[tuple[Spoken, int]]:
    """A line to a port that can be cut, and the port at its near end."""
    one = Spoken("benchmarks.fleet.line", port)
    try:
        yield one, int(one.hear())
    finally:
        one.end()
