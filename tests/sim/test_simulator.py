"""Many sites in one process, through faults of all kinds: promises hold, and what breaks one is found."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from skerry.core.copy import Copy, CopyState
from skerry.core.feed import digest, follow, offer
from skerry.core.placement.guard import Guard
from tests.sim import journal
from tests.sim.faults import KINDS
from tests.sim.run import run
from tests.sim.sender import Sender

SEEDS = 200
BATCHES = 4
"""So that the seeds are shared out when tests run side by side."""

RARE = frozenset(kind for kind in KINDS if kind.startswith("crash: ")) - {"crash: power", "crash: restored"}
"""What need not be seen in every batch."""


@pytest.mark.parametrize("batch", range(BATCHES))
def test_promises_hold_through_faults_which_did_happen(batch: int) -> None:
    size = SEEDS // BATCHES
    outcomes = [run(seed) for seed in range(1 + batch * size, 1 + (batch + 1) * size)]

    assert [(outcome.seed, outcome.failure) for outcome in outcomes if outcome.failure] == []
    assert all(outcome.faults for outcome in outcomes)
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        faults += outcome.faults
    assert KINDS - RARE <= set(faults) <= KINDS
    assert RARE & set(faults)


def test_a_seed_makes_the_same_run_whatever_the_order_of_hashes() -> None:
    command = "from tests.sim.run import run; print([run(seed).trace for seed in (3, 11, 42)])"
    traces = {
        subprocess.run(
            [sys.executable, "-c", command],
            env={**os.environ, "PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in ("0", "1", "12345")
    }

    assert len(traces) == 1


@dataclass(frozen=True)
class Mutant:
    """A rule that is put out of force, and what the simulator has to say about that."""

    where: object
    name: str
    instead: object
    complaint: str


def nothing(*args: Any, **kwargs: Any) -> None:
    """Checks nothing."""


def without_urgent(standing: Any, span: Any, rows: Any, ahead: Any, **kwargs: Any) -> Any:
    return offer.page(standing, span, rows, (), **kwargs)


WHOLE = property(lambda copy: copy.cached and copy.state is CopyState.COMPLETE)

MUTANTS = {
    "signatures are not looked at": Mutant(follow, "vouched", lambda *_: True, "never signed"),
    "a sweep forgets everything": Mutant(follow, "check_sweep", nothing, "nobody has deleted"),
    "sums are not looked at": Mutant(digest, "add", lambda *_: 0, "lost"),
    "plans ask nobody": Mutant(Guard, "hold", nothing, "asks nobody"),
    "pins do not count": Mutant(Copy, "evictable", WHOLE, "evicts"),
    "urgent entries wait for their turn": Mutant(journal, "page", without_urgent, "urgent"),
    "nothing is sent up": Mutant(Sender, "_push_lacking", lambda *_, **__: False, "does not know"),
}


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_broken_rule_is_found(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = MUTANTS[mutant]
    monkeypatch.setattr(rule.where, rule.name, rule.instead)

    assert rule.complaint in next(failure for seed in range(1, 61) if (failure := run(seed).failure))
