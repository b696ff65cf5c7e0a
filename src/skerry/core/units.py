"""Sizes, durations and rates as people write them: `20GiB`, `90s`, `2h`, `20Mbit`."""

import re
from typing import Any, Self

_SIZE = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
         "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}  # fmt: skip
_TIME = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*\Z")


def _split(value: Any, units: dict[str, Any], what: str) -> tuple[float, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected {what}, got {value!r}")
    match = _NUMBER.match(str(value))
    if not match or match[2].lower() not in units:
        raise ValueError(f"expected {what}, got {value!r}")
    return float(match[1]), units[match[2].lower()]


class Size(int):
    """A number of bytes."""

    @classmethod
    def parse(cls, value: Any) -> Self:
        """From an int, or text with a unit (`10GiB`, `500MB`). Raises ValueError."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        number, unit = _split(value, _SIZE, 'a size such as "20GiB"')
        return cls(round(number * unit))


class Duration(float):
    """A number of seconds."""

    @classmethod
    def parse(cls, value: Any) -> Self:
        """From a number of seconds, or text with a unit (`500ms`, `90s`, `2h`, `30d`). Raises ValueError."""
        number, unit = _split(value, _TIME, 'a duration such as "60s" or "2h"')
        return cls(number * unit)


class Rate(int):
    """Bits a second."""

    @classmethod
    def parse(cls, value: Any) -> Self:
        """From text with a unit (`20Mbit`, `512kbit`). Raises ValueError."""
        number, unit = _split(value, _RATE, 'a rate such as "20Mbit"')
        return cls(round(number * unit))
