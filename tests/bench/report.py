"""What was measured, as the tables of docs/benchmarks.md and the figures that the README quotes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from luma_ray.nodes.tables import markdown

from .plan import Column, Part

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
FIGURES, PAGE = DOCS / "benchmarks.json", DOCS / "benchmarks.md"
NOTHING = "-"

ABOUT = (
    "Made by `make bench`; the raw figures are in [benchmarks.json](benchmarks.json). Each trial runs in a new "
    "process, and those of a table take turns, round by round. Columns of ratios are medians of the ratios within a "
    "round: on a shared machine times drift, ratios stay. Memory is the peak beyond what the process held when "
    "everything was imported. What needs much of it is timed in a second process that has it ready, so that nobody "
    "waits for the system to find it. CPU seconds are those of all cores."
)

Values = Mapping[str, Sequence[float]]


def load() -> dict[str, Any]:
    """The figures of the last full run."""
    found: dict[str, Any] = json.loads(FIGURES.read_text("utf-8"))
    return found


def page(told: Mapping[str, Any], parts: Sequence[Part]) -> str:
    """All of it, for docs/benchmarks.md."""
    text = [
        "# Benchmarks",
        ABOUT,
        markdown(("machine", ""), machine(told)),
    ]
    for part in parts:
        if part.name in told["parts"]:
            rounds = told["parts"][part.name]["rounds"]
            about = f"{part.about} {rounds} round{'s' * (rounds > 1)}."
            text += [f"## {part.title}", about, *tables(part, told["parts"][part.name])]
    return "\n\n".join(text) + "\n"


def machine(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """On what, with what, and when."""
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    return [
        *((name, str(words)) for name, words in told["machine"].items()),
        ("with", versions),
        ("on", told["date"]),
    ]


def tables(part: Part, told: Mapping[str, Any]) -> Iterator[str]:
    """One table for each group, and what was skipped."""
    groups: dict[str, dict[str, Values]] = {}
    for row in told["rows"]:
        groups.setdefault(row["group"], {})[row["name"]] = row["values"]
    for group, rows in groups.items():
        columns = [
            column
            for column in part.columns
            if any(cell(column, values, rows) != NOTHING for values in rows.values())
        ]
        header = (group, *(column.header for column in columns))
        yield markdown(header, [(name, *(cell(c, of, rows) for c in columns)) for name, of in rows.items()])
    if told["skipped"]:
        words = dict.fromkeys(f"{one['name']} ({one['why']})" for one in told["skipped"])
        yield "Skipped: " + "; ".join(words) + "."


def cell(column: Column, values: Values, rows: Mapping[str, Values]) -> str:
    """What stands in *column* for a row with *values* among *rows*."""
    found = figure(column, values, rows)
    if found is None:
        return NOTHING
    # Rounded, and nothing added: a bias that rounds to -0.00 is none.
    return f"{round(found / column.divided, column.digits) + 0.0:.{column.digits}f}"


def figure(column: Column, values: Values, rows: Mapping[str, Values]) -> float | None:
    """The number of it; None where there is none."""
    mine = values.get(column.measure)
    if not mine:
        return None
    if column.against or column.over:
        beside = rows.get(column.against, {}) if column.against else values
        mine = ratios(mine, beside.get(column.over or column.measure, ()))
    if not mine:
        return None
    if column.pick == "share":
        return sorted(mine)[int(0.95 * len(mine))]
    return {"min": min, "median": median, "max": max}[column.pick](mine)


def ratios(mine: Sequence[float], others: Sequence[float]) -> list[float]:
    """Value by value where they were measured in turn; else by the other's median."""
    if len(mine) == len(others):
        return [value / other for value, other in zip(mine, others, strict=True) if other]
    return [value / median(others) for value in mine] if others and median(others) else []


def kept(told: Mapping[str, Any]) -> str:
    """The figures as JSON: numbers of five digits, one line a row, of many values every hundredth part."""
    rows = {name: [_short(row) for row in part["rows"]] for name, part in told["parts"].items()}
    parts = {
        name: {**part, "rows": [f"@{name}{number}@" for number in range(len(rows[name]))]}
        for name, part in told["parts"].items()
    }
    text = json.dumps({**told, "parts": parts}, indent=1)
    for name, some in rows.items():
        for number, row in enumerate(some):
            text = text.replace(f'"@{name}{number}@"', json.dumps(row))
    return text + "\n"


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        measure: [float(f"{value:.5g}") for value in _fewer(some)] for measure, some in row["values"].items()
    }
    return {**row, "values": values}


def _fewer(values: Sequence[float]) -> Sequence[float]:
    if len(values) <= 101:
        return values
    ordered = sorted(values)
    return [ordered[round(part * (len(ordered) - 1) / 100)] for part in range(101)]
