"""The results, for a person and for a program."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.row import Row

RESULTS = Path(__file__).parent / "results"


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, columns aligned."""
    lines = [("figure", "ours", "peer", "its value", "ratio", "goal", "met")]
    for row in rows:
        ours, theirs = (f"{_short(value)} {row.unit}" for value in (row.ours, row.peer_value))
        peer = (row.peer, theirs, f"{row.ratio:.2f}") if row.peer else ("-", "-", "-")
        lines.append((row.figure, ours, *peer, row.goal, "yes" if row.met else "MISSED"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, tuple("-" * width for width in widths))  # type: ignore[arg-type]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def write(name: str, measured: Mapping[str, Any], rows: Sequence[Row]) -> Path:
    """Write `results/NAME.json`: where and when it was measured, and the rows."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {"measured": dict(measured), "rows": [dataclasses.asdict(row) for row in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def replace(name: str, part: str, measured: Mapping[str, Any], rows: Sequence[Row]) -> Path:
    """Write the rows of one part of `results/NAME.json`; the other parts stay as they were measured."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = json.loads(path.read_text()) if path.exists() else {"measured": {}, "rows": []}
    document["measured"][part] = dict(measured)
    others = [row for row in document["rows"] if row["part"] != part]
    document["rows"] = others + [{"part": part, **dataclasses.asdict(row)} for row in rows]
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
