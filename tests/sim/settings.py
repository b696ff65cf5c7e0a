"""What one run is like, drawn from its seed."""

import random
from dataclasses import dataclass

UNTIL_QUIET = 400.0
"""Seconds of faults and deeds."""

PATIENCE = 4 * 3600.0
"""Seconds after them in which all has to come right."""

CALM = 120.0
"""Seconds for which it has to stay right."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`page`: entries of a page. `keep_deleted` and `head_lifetime` in seconds."""

    regions: int
    edges: int
    page: int
    head_lifetime: float
    keep_deleted: float
    deeds: int
    faults: int
    approves: bool
    """Whether a person approves what waits for one."""


def draw(rng: random.Random) -> Settings:
    """The settings of a run."""
    return Settings(
        regions=rng.choice((0, 1, 1, 2)),
        edges=rng.randint(1, 4),
        page=rng.choice((1, 2, 3, 5, 8, 500)),
        head_lifetime=rng.choice((400.0, 600.0)),
        keep_deleted=rng.choice((120.0, 600.0, 3600.0)),
        deeds=rng.randint(15, 45),
        faults=rng.randint(4, 16),
        approves=rng.random() < 0.5,
    )
