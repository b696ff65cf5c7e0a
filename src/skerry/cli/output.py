"""What commands print: aligned text for people, JSON for scripts."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any


def format_argument(parser: ArgumentParser) -> None:
    """Declare `-f`."""
    parser.add_argument("-f", "--format", choices=("text", "json"), default="text", help="default text")


def as_json(document: Any) -> str:
    """A document for scripts."""
    return json.dumps(document, indent=2)


def fields(values: Mapping[str, str]) -> str:
    """Names and values, one a line; a name without a value is left out."""
    width = max(map(len, values))
    return "\n".join(f"{name:{width}}  {value}" for name, value in values.items() if value)


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a heading, in columns as wide as they need."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = [heading, *rows]
    return "\n".join(
        "  ".join(f"{v:{w}}" for v, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def size(count: int | None) -> str:
    """A number of bytes as people read it, `1.5 GiB`."""
    if count is None:
        return "-"
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
