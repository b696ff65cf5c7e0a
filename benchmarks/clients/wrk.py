"""Requests a second with wrk."""

import re
from collections.abc import Sequence

from benchmarks.clients import WrongAnswerError
from peers.install import program
from peers.process import run


def rate(url: str, headers: Sequence[str], *, clients: int, seconds: int) -> float:
    """Answers a second to so many clients at once, each of them 2xx."""
    named = [word for header in headers for word in ("-H", header)]
    words = ("-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s")
    said = run(program("wrk"), *words, *named, url)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None or "Non-2xx" in said or re.search(r"timeout [1-9]", said):
        raise WrongAnswerError(f"{url}: wrk says:\n{said}")
    return float(found[1])
