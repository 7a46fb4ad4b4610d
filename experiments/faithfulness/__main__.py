"""`python -m experiments.faithfulness`: measures every row on every model, then writes tables and figures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import chain

from attnflow.capture.provenance import fingerprint
from attnflow.errors import AttnflowError
from attnflow.evaluate.asked import Asked
from attnflow.evaluate.prediction import Prediction
from attnflow.evaluate.rows import Case, Row
from experiments.faithfulness.findings import publish
from experiments.faithfulness.inputs import SEED, STUDIES, Study
from experiments.faithfulness.measures import measured
from experiments.faithfulness.rows import CURVES, DEAR, MAIN, MORE
from experiments.records import Record, collect

COMMAND = "python -m experiments.faithfulness"


def rows_of(study: Study) -> tuple[Row, ...]:
    return tuple(chain.from_iterable((MAIN, MORE, DEAR)[: study.rows]))


def measure(study: Study, hide: str, count: int, names: Sequence[str], fresh: bool = False) -> list[Record]:
    """One record per example and row of one model.

    Args:
        study: the model.
        hide: how tokens are hidden.
        count: examples.
        names: rows to measure; none: all of this model.
        fresh: forget what is on disk.
    """
    import torch

    torch.set_num_threads(1)
    model, tokenizer = study.load()
    rows = {row.name: row for row in rows_of(study) if not names or any(name in row.name for name in names)}
    asks = dict(study.asks(model, tokenizer, count))
    curved = set(list(asks)[: study.curves])
    current: dict[str, tuple[Case, Asked]] = {}

    def case(key: str, ask: Callable[[], Prediction]) -> tuple[Case, Asked]:
        if key not in current:
            current.clear()
            made = ask()
            current[key] = Case(made), Asked(made, hide)
        return current[key]

    def record(key: str) -> Record:
        example, name = key.split("/", 1)
        kept, asked = case(example, asks[example])
        places = kept.prediction.hideable
        try:
            scores, spent = rows[name].scores(kept)
        except AttnflowError as error:
            return {"refused": str(error)}
        found = measured(asked, scores[places], name in CURVES and example in curved)
        return {"players": len(places), **found, **vars(spent)}

    settings = {"model": fingerprint(model), "hide": hide, "seed": SEED}
    keys = [f"{example}/{name}" for example in asks for name in rows]
    return collect("faithfulness", f"{study.name}-{hide}", settings, keys, record, fresh=fresh)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--models", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--count", type=int, default=300, help="examples per model")
    parser.add_argument(
        "--hide", choices=("mask", "delete"), help="one way only; default: every way of a model"
    )
    parser.add_argument("--rows", nargs="+", default=[], help="only rows whose names hold one of these")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs measured")
    parser.add_argument("--tables", action="store_true", help="only write what was measured already")
    asked = parser.parse_args(arguments)
    if asked.tables:
        publish()
        return
    for name in asked.models:
        study = STUDIES[name]
        for hide in study.hide if asked.hide is None else (asked.hide,):
            measure(study, hide, asked.count, asked.rows, asked.fresh)
    publish()


if __name__ == "__main__":
    main()
