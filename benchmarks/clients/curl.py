"""Bytes in and out with curl, one process a client."""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.clients import WrongAnswerError
from peers.install import program

PATIENCE = 3600.0
"""Seconds for one client: 2 GB over a thin line take a quarter of an hour."""
FORMAT = "%{http_code} %{size_download} %{size_upload} %{time_total}"


def download(urls: Sequence[str], headers: Sequence[str], size: int) -> float:
    """Seconds until the last of several clients, one a URL, has its `size` bytes."""
    return max(_finish(client, got=size) for client in [_start(url, headers) for url in urls])


def upload(urls: Sequence[str], headers: Sequence[str], file: Path) -> float:
    """Seconds until the last of several clients, one a URL, has had its PUT of `file` answered."""
    # without "Expect:" curl would first wait for leave to send, and not every server gives it at once
    sending = ("-X", "PUT", "-H", "Content-Type: application/octet-stream", "-H", "Expect:", "-T", file)
    clients = [_start(url, headers, *sending) for url in urls]
    return max(_finish(client, sent=file.stat().st_size) for client in clients)


def sha512(url: str, headers: Sequence[str]) -> str:
    """The digest of what a download brings."""
    with subprocess.Popen(_command(url, headers, "--fail"), stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        digest = hashlib.file_digest(client.stdout, "sha512").hexdigest()  # type: ignore[arg-type]
    if client.returncode:
        raise WrongAnswerError(f"{url}: curl ended with {client.returncode}")
    return digest


def _command(url: str, headers: Sequence[str], *more: str | Path) -> list[str]:
    named = [word for header in headers for word in ("-H", header)]
    return [str(word) for word in (program("curl"), "-sS", *named, *more, url)]


def _start(url: str, headers: Sequence[str], *more: str | Path) -> subprocess.Popen[str]:
    command = _command(url, headers, *more, "-o", "/dev/null", "-w", FORMAT)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(client: subprocess.Popen[str], *, got: int | None = None, sent: int | None = None) -> float:
    said, complaint = client.communicate(timeout=PATIENCE)
    status, received, uploaded, seconds = said.split()
    if client.returncode or not status.startswith("2"):
        raise WrongAnswerError(f"curl ended with {client.returncode}, status {status}: {complaint}")
    if (got is not None and int(received) != got) or (sent is not None and int(uploaded) != sent):
        raise WrongAnswerError(f"{received} bytes came and {uploaded} went, not {got} and {sent}")
    return float(seconds)
