"""The figures, one a module: `measure(stage)` gives its rows."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.figures import cached_download, first_download, memory, page, show, start, upload
from benchmarks.row import Row
from benchmarks.stage import Stage

FIGURES: Mapping[str, Callable[[Stage], Sequence[Row]]] = {
    "cached-download": cached_download.measure,
    "first-download": first_download.measure,
    "upload": upload.measure,
    "show": show.measure,
    "page": page.measure,
    "memory": memory.measure,
    "start": start.measure,
}
"""In the order in which they are measured."""
