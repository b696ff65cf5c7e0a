"""A progress bar on a terminal, and nothing anywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a transfer of `total` bytes; yields `at(position)`. The rate counts from the first call on."""
    if not sys.stderr.isatty():
        yield lambda position: None
        return

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(None), DownloadColumn(binary_units=True),
        TransferSpeedColumn(), TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), expand=True) as shown:
        task = shown.add_task(what, total=total, start=False)
        started = False

        def at(position: int) -> None:
            nonlocal started
            shown.update(task, completed=position)
            if not started:
                shown.start_task(task)
                started = True

        yield at
