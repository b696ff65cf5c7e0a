"""The figures, one a module: `measure(stage)` gives its rows."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.row import Row
from benchmarks.wan.figures import breaks, megabytes, memory, one_core, seconds, siblings, tools
from benchmarks.wan.stage import Stage

FIGURES: Mapping[str, Callable[[Stage], Sequence[Row]]] = {
    "one-core": one_core.measure,
    "megabytes": megabytes.measure,
    "seconds": seconds.measure,
    "tools": tools.measure,
    "breaks": breaks.measure,
    "memory": memory.measure,
    "siblings": siblings.measure,
}
"""In the order in which they are measured."""
