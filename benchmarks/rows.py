"""What a benchmark found: rows of a table, as Markdown and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        case: what was measured, on what and how large.
        measure: name of the figure.
        value: the figure; None if it could not be had within the time allowed.
        unit: "s", "x", "MB", "GB/s", "" ...
        least: the goal is at least this.
        most: the goal is at most this.
        note: what a reader should know.
    """

    case: str
    measure: str
    value: float | None
    unit: str = ""
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without goal."""
        if self.least is None and self.most is None:
            return None
        if self.value is None or not math.isfinite(self.value):
            return False
        return (self.least is None or self.value >= self.least) and (
            self.most is None or self.value <= self.most
        )


def as_json(rows: Iterable[Row]) -> list[dict[str, object]]:
    return [{**asdict(row), "met": row.met} for row in rows]


def from_json(items: Iterable[dict[str, object]]) -> list[Row]:
    return [Row(**{name: value for name, value in item.items() if name != "met"}) for item in items]  # type: ignore[arg-type]


def markdown(rows: Iterable[Row]) -> str:
    lines = ["| case | measure | value | goal | |", "|---|---|---:|---:|---|"]
    for row in rows:
        goal = "" if row.least is None else f">= {shown(row.least, row.unit)}"
        goal += "" if row.most is None else f"<= {shown(row.most, row.unit)}"
        mark = {None: "", True: "met", False: "**missed**"}[row.met]
        note = "; ".join(part for part in (mark, row.note) if part)
        lines.append(f"| {row.case} | {row.measure} | {shown(row.value, row.unit)} | {goal} | {note} |")
    return "\n".join(lines)


def shown(value: float | None, unit: str = "") -> str:
    """A figure in three digits."""
    if value is None:
        return "not in time"
    if unit == "s":
        if value < 1e-3:
            return f"{digits(value * 1e6)} µs"
        if value < 1:
            return f"{digits(value * 1e3)} ms"
    if unit == "x":
        return f"{digits(value)}x"
    return f"{digits(value)} {unit}".strip()


def digits(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, places)}f}" if places < 5 else f"{value:.1e}"
