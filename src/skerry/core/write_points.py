"""Labels of the moments between two durable writes.

Each place where a crash would leave something half done calls `reached` with a label. In service it does
nothing; the fault tests put a function here that kills the process or raises, restart, and assert that the
site is in the old state or the new one.
"""

from collections.abc import Callable

_hook: Callable[[str], None] | None = None


def reached(label: str) -> None:
    """Say that the write point `label` ("publish.bytes-durable") has been passed."""
    if _hook is not None:
        _hook(label)


def set_hook(hook: Callable[[str], None] | None) -> None:
    """Have `hook` called at each write point; None ends it. For tests."""
    global _hook
    _hook = hook
