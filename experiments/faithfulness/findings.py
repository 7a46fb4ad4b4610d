"""From records to tables and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate import Interval, bootstrap
from experiments import report
from experiments.faithfulness.inputs import STUDIES
from experiments.faithfulness.rows import CURVES
from experiments.records import FOLDER, Record
from experiments.report import Cell, Table

STUDY = "faithfulness"
COMMAND = "python -m experiments.faithfulness --tables"
BEST, INTEGRATED = "flow · conserved", "flow · conserved · signed · 3 steps"
#: Rows with fewer examples are left out.
FEWEST = 20
#: And of the overview, which tells no numbers of examples.
MANY = 100
RIVALS = ("integrated-gradients · 20 steps", "occlusion", "occlusion by deletion")


@dataclass(frozen=True)
class Found:
    """What was measured of one model.

    Attributes:
        name: of the model and the way of hiding.
        rows: records of each row, by example.
    """

    name: str
    rows: Mapping[str, Mapping[str, Record]]

    def values(self, row: str, metric: str) -> dict[str, float]:
        return {key: record[metric] for key, record in self.rows.get(row, {}).items() if metric in record}

    def pairs(self, first: str, second: str, metric: str) -> NDArray[np.float64]:
        """Float64 [examples, 2]: both rows on the examples that both have."""
        a, b = self.values(first, metric), self.values(second, metric)
        return np.array([(a[key], b[key]) for key in a if key in b])


def read() -> list[Found]:
    """What is on disk of models with enough examples, in the order of the study."""
    found = []
    for study in STUDIES.values():
        for hide in study.hide:
            path = FOLDER / STUDY / f"{study.name}-{hide}.jsonl"
            if not path.exists():
                continue
            rows: dict[str, dict[str, Record]] = {}
            for line in path.read_text(encoding="utf-8").splitlines()[1:]:
                record = json.loads(line)
                example, row = record["key"].split("/", 1)
                rows.setdefault(row, {})[example] = record
            if max(map(len, rows.values()), default=0) >= FEWEST:
                found.append(Found(f"{study.name}, {hide}", rows))
    return found


def interval(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    return bootstrap(values, resamples=2000)


def tables(found: Sequence[Found]) -> list[Table]:
    return [overview(found), claims(found), curves(found), *(each(part) for part in found)]


def overview(found: Sequence[Found]) -> Table:
    """Mean comprehensiveness of every row on every model: first the rows that most models have."""
    names = list(dict.fromkeys(name for part in found for name in part.rows))
    rows: list[list[Cell]] = []
    for name in names:
        values = [list(part.values(name, "comprehensiveness").values()) for part in found]
        rows.append([name, *(float(np.mean(column)) if len(column) >= MANY else None for column in values)])
    kept = [row for row in rows if any(cell is not None for cell in row[1:])]
    measured = {str(row[0]): [float(cell) for cell in row[1:] if isinstance(cell, float)] for row in kept}
    kept.sort(key=lambda row: (-len(measured[str(row[0])]), -float(np.mean(measured[str(row[0])]))))
    return Table("overview", ("method", *(part.name for part in found)), kept)


def claims(found: Sequence[Found]) -> Table:
    """Our flow beside integrated gradients and occlusion, on the same examples."""
    rows: list[list[Cell]] = []
    for part in found:
        for ours in (BEST, INTEGRATED):
            for rival in RIVALS:
                for metric in ("comprehensiveness", "sufficiency"):
                    pairs = part.pairs(ours, rival, metric)
                    if len(pairs) < FEWEST:
                        continue
                    mine, theirs = pairs.mean(0)
                    difference = interval(pairs[:, 0] - pairs[:, 1])
                    rows.append(
                        [part.name, ours, rival, metric, len(pairs), float(mine), float(theirs), difference]
                    )
    heads = (
        "model, hiding",
        "ours",
        "theirs",
        "metric",
        "examples",
        "ours is",
        "theirs is",
        "ours less theirs",
    )
    return Table("claims", heads, rows)


def curves(found: Sequence[Found]) -> Table:
    """Metrics that hide tokens one by one."""
    rows: list[list[Cell]] = []
    for part in found:
        for name in part.rows:
            columns = [
                list(part.values(name, metric).values()) for metric in ("aopc", "activation", "pruning")
            ]
            if name in CURVES and min(map(len, columns)) >= FEWEST:
                rows.append(
                    [part.name, name, len(columns[0]), *(float(np.mean(column)) for column in columns)]
                )
    heads = ("model, hiding", "method", "examples", "AOPC ↑", "activation ↑", "pruning ↓")
    return Table("curves", heads, rows)


def each(part: Found) -> Table:
    """One model in full, the highest comprehensiveness first."""
    rows: list[list[Cell]] = []
    for name, records in part.rows.items():
        kept = [record for record in records.values() if "refused" not in record]
        if len(kept) < FEWEST:
            continue
        measured = [
            interval([record[metric] for record in kept])
            for metric in ("comprehensiveness", "sufficiency", "log-odds")
        ]
        costs = [
            float(np.mean([record[name] for record in kept])) for name in ("forward", "backward", "seconds")
        ]
        rows.append([name, len(kept), *measured, *costs[:2], 1000 * costs[2]])
    rows.sort(key=lambda row: -row[2].estimate if isinstance(row[2], Interval) else 0.0)
    heads = (
        "method",
        "examples",
        "comprehensiveness ↑",
        "sufficiency ↓",
        "log-odds ↓",
        "forward",
        "backward",
        "ms",
    )
    return Table(part.name.replace(", ", "-"), heads, rows, (3, 0, 3, 3, 3, 1, 1, 0))


#: Rows in the figure, from the top.
DRAWN = (
    "integrated-gradients · 20 steps",
    "occlusion",
    "occlusion by deletion",
    INTEGRATED,
    BEST,
    "flow · relevance · open",
    "chefer",
    "alti-rollout",
    "gradient-x-input",
    "gaf-attention-gradient",
    "flow · attention · r=0.5",
    "shapley · attention · r=0.5",
    "random",
)


def figure(found: Sequence[Found]) -> None:
    """Comprehensiveness with intervals, a panel per model."""
    with report.figure(STUDY, "comprehensiveness", width=9.0, height=3.2 * -(-len(found) // 3)) as drawn:
        grid = drawn.subplots(-(-len(found) // 3), 3, squeeze=False, sharey=True)
        for axes, part in zip(grid.flat, found):
            for place, name in enumerate(DRAWN):
                values = list(part.values(name, "comprehensiveness").values())
                if len(values) < FEWEST:
                    continue
                mean = interval(values)
                color = "#d1495b" if "conserved" in name else "#2a6f97"
                axes.plot([mean.lower, mean.upper], [place, place], color=color, lw=2)
                axes.plot(mean.estimate, place, "o", color=color, ms=4)
            axes.set_title(part.name, fontsize=9, color="#808080")
            axes.set_yticks(range(len(DRAWN)), DRAWN)
            axes.grid(axis="x", alpha=0.25)
        grid[0, 0].invert_yaxis()
        for axes in grid.flat[len(found) :]:
            axes.set_visible(False)


def publish() -> None:
    """Writes the tables into the page, and the figure."""
    found = read()
    report.publish(STUDY, COMMAND, tables(found))
    figure(found)
