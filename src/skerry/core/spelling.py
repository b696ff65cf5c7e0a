"""A hint for a word that is not known."""

import difflib
from collections.abc import Collection


def nearest(word: str, known: Collection[str], form: str = "{}") -> str:
    """Which known word was probably meant, or all of them. `form` is how a word is shown."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"Did you mean {form.format(close[0])}?"
    return "Known are " + ", ".join(form.format(name) for name in known) + "."
