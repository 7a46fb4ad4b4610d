"""`python -m experiments.agreement`: grades every row on held-out sentences, then writes tables and a figure."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from attnflow.capture.provenance import fingerprint
from attnflow.evaluate import Interval
from attnflow.evaluate.prediction import prediction
from attnflow.evaluate.rows import Case, Theirs
from attnflow.models import load
from attnflow.models.agreement.language import FRONTS, Sentence, heldout
from experiments.agreement.grading import MEASURES, TOPS, graded
from experiments.agreement.rows import DEPTHS, ROWS, controls
from experiments.grades import interval
from experiments.records import Record, collect
from experiments.report import Table, estimates, figure, publish

STUDY = "agreement"
COMMAND = "python -m experiments.agreement"
SEED = 7
OCCLUSION = next(row for row in ROWS if isinstance(row, Theirs) and row.baseline == "occlusion")
SIDES = ("nothing in front", "something in front")


def sentences(count: int) -> list[Sentence]:
    """Held-out sentences with attractors, half with something in front of the subject, which is never the last word."""

    def drawn(fronts: Sequence[str]) -> Iterator[Sentence]:
        for sentence in heldout(SEED):
            if sentence.front in fronts and sentence.subject != sentence.verb - 1:
                yield sentence

    half = count // 2
    in_front = [front for front in FRONTS if front != "nothing"]
    return [*islice(drawn(["nothing"]), count - half), *islice(drawn(in_front), half)]


def measure(count: int, fresh: bool = False) -> list[Record]:
    """One record per sentence: the model's preference, and each row's grades."""
    import torch

    torch.set_num_threads(1)
    model, tokenizer = load("agreement")
    by_text = {" ".join(sentence.words): sentence for sentence in sentences(count)}
    ids = tokenizer.get_vocab()

    def record(text: str) -> Record:
        sentence = by_text[text]
        made = prediction(
            model, sentence.prompt, tokenizer=tokenizer, output=(ids[sentence.right], ids[sentence.wrong])
        )
        case = Case(made)
        margin = made.values(np.ones((1, made.players), bool), scale="logit")[0]
        blanked, _ = OCCLUSION.scores(case)
        scored = controls(sentence, SEED)
        scored |= {row.name: row.scores(case)[0] for row in ROWS}
        scored |= {
            row.name: row.scores(case.trace(row.record, 1)[0], [made.players - 1])[0] for row in DEPTHS
        }
        grades = {name: graded(sentence, s, blanked, made.hideable) for name, s in scored.items()}
        grades[OCCLUSION.name]["blank-out"] = None  # they are the same
        return {
            "margin": float(margin),
            "front": sentence.front,
            "blanked": float(blanked[sentence.subject] == blanked.max()),
            "rows": grades,
        }

    names = [row.name for row in (*ROWS, *DEPTHS)]
    settings = {"model": fingerprint(model), "seed": SEED, "rows": names}
    return collect(STUDY, "sentences", settings, list(by_text), record, fresh=fresh)


def of(records: Sequence[Record], row: str, measured: str) -> Interval | None:
    """The mean of one measure of a row, with its interval."""
    return interval(records, lambda record: record["rows"][row][measured])


def split(records: Sequence[Record]) -> list[list[Record]]:
    """Sentences with nothing in front of the subject, and the others."""
    return [[r for r in records if (r["front"] == "nothing") is nothing] for nothing in (True, False)]


def tables(records: Sequence[Record]) -> list[Table]:
    """All tables of the page."""
    depths = [row.name for row in DEPTHS]
    names = [name for name in records[0]["rows"] if name not in depths]
    halves = split(records)

    def full(row: str, measures: Iterable[str] = MEASURES) -> list[str | Interval | None]:
        return [row, *(of(records, row, measured) for measured in measures)]

    def apart(row: str) -> list[str | Interval | None]:
        return [row, *(of(half, row, m) for m in ("auroc", "precision") for half in halves)]

    return [
        Table(
            "sentences",
            ["", "sentences", "answered right", "blanking out the subject costs most"],
            [
                [
                    name,
                    len(part),
                    sum(r["margin"] > 0 for r in part),
                    int(sum(r["blanked"] for r in part)),
                ]
                for name, part in zip(("all", *SIDES), (records, *halves))
            ],
        ),
        Table("methods", ["method", *MEASURES.values()], [full(name) for name in names], 2),
        Table("highest", ["method", *TOPS.values()], [full(name, TOPS) for name in names], 2),
        Table("depth", ["flow", *MEASURES.values()], [full(name) for name in depths], 2),
        Table(
            "front",
            ["method", *(f"{MEASURES[m]}, {side}" for m in ("auroc", "precision") for side in SIDES)],
            [apart(name) for name in names],
            2,
        ),
    ]


def draw(records: Sequence[Record]) -> None:
    """AUROC of each method, on either half of the sentences."""
    depths = {row.name for row in DEPTHS}

    def by_row(part: Sequence[Record]) -> dict[str, Interval]:
        values = {name: of(part, name, "auroc") for name in records[0]["rows"] if name not in depths}
        return {name: value for name, value in values.items() if value}

    found = by_row(records)
    order = sorted(found, key=lambda name: found[name].estimate)
    with figure(STUDY, "auroc", height=0.24 * len(order) + 0.8) as drawn:
        axes = drawn.subplots()
        halves = {side: by_row(half) for side, half in zip(SIDES, split(records))}
        estimates(axes, halves, order, chance=0.5)
        axes.set_xlabel("AUROC of the subject among the tokens before the verb")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="sentences")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs measured")
    asked = parser.parse_args(arguments)
    records = measure(asked.count, asked.fresh)
    publish(STUDY, COMMAND, tables(records))
    draw(records)


if __name__ == "__main__":
    main()
