"""Names with wildcards: `*`, `?`, `[ab]`, as the shell has them; case matters."""

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache


@lru_cache(maxsize=4096)
def matcher(globs: tuple[str, ...]) -> Callable[[str], object]:
    """A function that gives something true for a name that is like one of them."""
    return re.compile("|".join(map(fnmatch.translate, globs))).match
