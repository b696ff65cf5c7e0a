"""One run of one seed, from the first site to the last promise."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sim import faults, workload
from tests.sim.promises import broken
from tests.sim.settings import CALM, PATIENCE, UNTIL_QUIET
from tests.sim.world import World

_STEP = 30.0

_SETTLES = 30
"""Steps in which what time alone has changed in the calm comes right again."""


@dataclass(frozen=True)
class Outcome:
    """How a run went. `failure` is empty when all promises were kept."""

    seed: int
    failure: str
    trace: str
    faults: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    quiet_after: float = 0.0
    """Seconds of virtual time from the last fault until all was right."""


def run(seed: int, *, tell: Callable[[str], None] | None = None) -> Outcome:
    """Run a seed. `tell` hears each line of the trace. Raises nothing but what ends programs."""
    world = World(seed, tell=tell)
    failure, quiet = "", 0.0
    try:
        quiet = _run(world)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        if tell is not None:
            raise
    return Outcome(seed, failure, world.trace, world.faults, world.deeds, world.steps, quiet)


def _run(world: World) -> float:
    workload.build(world)
    workload.schedule(world, UNTIL_QUIET)
    faults.schedule(world, UNTIL_QUIET)
    world.run(UNTIL_QUIET)
    faults.end(world)
    world.note("world", "no more faults")
    while found := broken(world):
        if world.now > UNTIL_QUIET + PATIENCE:
            raise AssertionError("; ".join(found))
        world.run(world.now + _STEP)
    quiet = world.now - UNTIL_QUIET
    world.run(world.now + CALM)
    for _ in range(_SETTLES):
        if not (found := broken(world)):
            return quiet
        world.run(world.now + _STEP)
    raise AssertionError("not for long: " + "; ".join(found))
