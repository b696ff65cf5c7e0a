"""One real program in a process group of its own: start it, wait until it answers, stop it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"


class PeerError(Exception):
    """A program could not be installed, did not start, or failed; the message says why."""


def free_port() -> int:
    """Return a loopback TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command to its end and return its standard output; `PeerError` with its output if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env={**os.environ, **(env or {})}, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise PeerError(f"{' '.join(words)} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def answers_http(url: str) -> bool:
    """Whether `url` answers at all, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def eventually(check: Callable[[], bool], what: str, within: float = 60) -> None:
    """Ask again and again until `check` says yes; `PeerError` that names `what` when it does not in time."""
    deadline = time.monotonic() + within
    while not check():
        if time.monotonic() > deadline:
            raise PeerError(f"{what} did not happen within {within:g} s")
        time.sleep(0.05)


@dataclass
class Daemon:
    """A program that runs until it is stopped. Everything it prints goes to `log`.

    The program gets SIGTERM when the thread that started it ends, so a killed test run leaves nothing behind:
    start daemons from a thread that lives as long as they shall.
    """

    name: str
    command: Sequence[str | Path]
    log: Path
    answers: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    start_within: float = 90
    stop_within: float = 20
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int:
        """Process id of the running program, which leads its process group."""
        if self._process is None:
            raise PeerError(f"{self.name} does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None

    def start(self) -> None:
        """Start the program and return once it answers; `PeerError` with its log's end if it does not."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *(str(word) for word in self.command)],
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self._process
        try:
            eventually(lambda: self.answers() or process.poll() is not None, "an answer", self.start_within)
        except PeerError as error:
            self.kill()
            raise self._failed(str(error)) from None
        if process.poll() is not None:
            raise self._failed(f"ended at start with code {process.returncode}")

    def stop(self) -> None:
        """Ask the program to end and wait for it; kill its group when it takes longer than `stop_within`."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self.stop_within)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL for the whole process group: what a power cut looks like from outside."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Freeze the group: the kernel accepts connections and nobody answers, as behind a dead line."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        os.killpg(self.pid, signal.SIGCONT)

    def _failed(self, what: str) -> PeerError:
        tail = self.log.read_text(errors="replace")[-4000:]
        return PeerError(f"{self.name}: {what}; the end of {self.log}:\n{tail}")


class Peer:
    """A program with a daemon: a context manager that starts and stops it."""

    daemon: Daemon

    def start(self) -> None:
        self.daemon.start()

    def stop(self) -> None:
        self.daemon.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
