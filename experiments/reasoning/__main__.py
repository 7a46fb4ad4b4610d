"""`python -m experiments.reasoning`: grades every row on every token of every answer, then writes the tables."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import numpy as np

from attnflow.capture.provenance import fingerprint
from attnflow.evaluate import Interval
from attnflow.models import load
from experiments.grades import grade, interval, mean_of
from experiments.reasoning.answers import SEED, answer, texts
from experiments.reasoning.rows import ROWS
from experiments.reasoning.truth import JUDGES, of_token, variables, verdict
from experiments.records import Record, collect
from experiments.report import Cell, Table, estimates, figure, publish

COMMAND = "python -m experiments.reasoning"
TRUTHS = ("verdict", "token", "variables")


def measure(task: str, count: int, fresh: bool = False) -> list[Record]:
    """One record per formula: whether the answer is right and, if so, each row's grades, means over its tokens."""
    import torch

    torch.set_num_threads(1)
    model, tokenizer = load(task)
    judge = JUDGES[task]

    def record(text: str) -> Record:
        found = answer(model, tokenizer, text)
        formula, words = found.formula, found.words
        if not judge.right(words, formula):
            return {"right": False}
        truths = [
            {
                "verdict": verdict(judge, formula, words),
                "token": of_token(judge, formula, words, place) if place < len(words) else None,
                "variables": variables(judge, formula, words, place) if place < len(words) else None,
            }
            for place in range(len(found.cases))
        ]
        letters = np.array([token in judge.letters for token in formula])
        grades: dict[str, dict[str, dict[str, float] | None]] = {}
        for row in ROWS:
            scored = [row.scores(case)[0][: len(formula)] for case in found.cases]
            grades[row.name] = {
                name: mean_of(
                    grade(scores[letters] if name == "variables" else scores, truth[name])
                    for scores, truth in zip(scored, truths)
                    if truth[name] is not None
                )
                for name in TRUTHS
            }
        return {"right": True, "rows": grades}

    settings = {"model": fingerprint(model), "seed": SEED, "rows": [row.name for row in ROWS]}
    return collect("reasoning", task, settings, list(texts(task, count)), record, fresh=fresh)


def tables(task: str, records: Sequence[Record]) -> list[Table]:
    """AUROC and precision of every row against the three truths."""
    right = [record for record in records if record["right"]]
    made = [
        Table(
            f"{task}-answers",
            ["formulas", "answered right", *(f"graded on {name}" for name in TRUTHS)],
            [
                [
                    len(records),
                    len(right),
                    *(sum(r["rows"][ROWS[0].name][name] is not None for r in right) for name in TRUTHS),
                ]
            ],
        )
    ]

    def value(record: Record, row: str, name: str, measured: str) -> float | None:
        grades = record["rows"][row][name]
        return None if grades is None else grades[measured]

    for measured in ("auroc", "precision"):
        rows = [
            [
                row.name,
                *(interval(right, partial(value, row=row.name, name=n, measured=measured)) for n in TRUTHS),
            ]
            for row in ROWS
        ]
        made.append(Table(f"{task}-{measured}", ["method", *TRUTHS], rows, 2))
    return made


def draw(task: str, found: Sequence[Table]) -> None:
    """AUROC of every row against the three truths."""
    (rows,) = (table.rows for table in found if table.name == f"{task}-auroc")
    series = {
        name: {str(row[0]): row[1 + place] for row in rows if isinstance(row[1 + place], Interval)}
        for place, name in enumerate(TRUTHS)
    }
    order = [str(row[0]) for row in sorted(rows, key=lambda row: sum(_height(cell) for cell in row[1:]))]
    with figure("reasoning", task, height=0.24 * len(order) + 0.8) as drawn:
        axes = drawn.subplots()
        estimates(axes, series, order, chance=0.5)
        axes.set_xlabel("AUROC of the tokens that matter")


def _height(cell: Cell) -> float:
    return cell.estimate if isinstance(cell, Interval) else 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=JUDGES, default=list(JUDGES))
    parser.add_argument("--count", type=int, default=220, help="formulas of each task")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs measured")
    asked = parser.parse_args(arguments)
    for task in asked.tasks:
        found = tables(task, measure(task, asked.count, asked.fresh))
        publish("reasoning", COMMAND, found)
        draw(task, found)


if __name__ == "__main__":
    main()
