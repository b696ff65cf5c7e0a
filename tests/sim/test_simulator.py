"""Many sites in one process, through faults of all kinds: what was promised holds, and what goes wrong is found."""

import os
import subprocess
import sys
from collections import Counter

from typing import Any

import pytest

from skerry.core import eviction
from skerry.core.feed import follow
from skerry.core.placement.guard import Guard
from tests.sim import cache, journal, reconciler, sender
from tests.sim.faults import KINDS
from tests.sim.run import run

SEEDS = 200
BATCHES = 4
"""So that the seeds are shared out when tests run side by side."""


@pytest.mark.parametrize("batch", range(BATCHES))
def test_promises_hold_through_faults_which_did_happen(batch: int) -> None:
    size = SEEDS // BATCHES
    outcomes = [run(seed) for seed in range(1 + batch * size, 1 + (batch + 1) * size)]

    assert [outcome for outcome in outcomes if outcome.failure] == []
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        assert outcome.faults, f"nothing went wrong in seed {outcome.seed}"
        faults += outcome.faults
    assert COMMON <= faults.keys()
    assert faults.keys() <= KINDS


COMMON = KINDS - {kind for kind in KINDS if kind.startswith("crash: ")} | {"crash: power", "crash: restored"}
"""What happens often enough to be seen in every batch."""


def test_a_seed_makes_the_same_run_whatever_the_order_of_hashes() -> None:
    traces = set()
    for number in ("0", "1", "12345"):
        command = "from tests.sim.run import run; print([run(seed).trace for seed in (3, 11, 42)])"
        done = subprocess.run(
            [sys.executable, "-c", command],
            env={**os.environ, "PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
        )
        traces.add(done.stdout)

    assert len(traces) == 1


def _found(most: int = 60) -> str:
    """The first promise that is broken in one of the seeds."""
    return next((outcome.failure for outcome in map(run, range(1, most + 1)) if outcome.failure), "")


def _never(*args: Any, **kwargs: Any) -> None:
    """Checks nothing."""


MUTANTS: dict[str, tuple[object, str, object, str]] = {
    "signatures are not looked at": (follow, "vouched", lambda *_: True, "never signed"),
    "a sweep forgets everything": (follow, "check_sweep", _never, "nobody has deleted"),
    "plans ask nobody": (reconciler.Guard, "hold", _never, "asks nobody"),
    "what is pinned is evicted": (
        eviction.Copy,
        "evictable",
        property(lambda copy: copy.cached),
        "evicts",
    ),
    "urgent entries wait for their turn": (
        journal,
        "page",
        lambda *args, **kwargs: _without_urgent(*args, **kwargs),
        "urgent",
    ),
    "nothing is sent up": (sender.Sender, "_push_lacking", lambda *_, **__: False, "does not know"),
}


def _without_urgent(standing: Any, span: Any, rows: Any, ahead: Any, **kwargs: Any) -> Any:
    from skerry.core.feed.offer import page

    return page(standing, span, rows, (), **kwargs)


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_broken_rule_is_found(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, instead, complaint = MUTANTS[mutant]
    monkeypatch.setattr(where, name, instead)

    assert complaint in _found()
