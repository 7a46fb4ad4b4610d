"""How faithful attributions are on a data set: the same texts, every method, the same tokens hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attnflow.errors import AttnflowError, InputError, OptionError, unknown_name
from attnflow.evaluate.asked import METRICS, Asked
from attnflow.evaluate.bootstrap import Interval, bootstrap
from attnflow.evaluate.prediction import prediction
from attnflow.evaluate.rows import Case, Ours, Row

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Example:
    """A text, and the class or token asked about; None: what the model predicts."""

    text: str
    output: int | str | None = None


@dataclass(frozen=True)
class Line:
    """What one row came to.

    Attributes:
        name: the row's.
        metrics: mean and bootstrap interval by metric; empty if the row was refused.
        examples: how many texts were measured.
        seconds: of processor time per text, the capture included.
        forward: inputs run forward per text.
        backward: inputs differentiated per text.
        refused: why it could not be had, for the first text; None if it could.
    """

    name: str
    metrics: dict[str, Interval] = field(default_factory=dict)
    examples: int = 0
    seconds: float = 0.0
    forward: float = 0.0
    backward: float = 0.0
    refused: str | None = None


def faithfulness(
    model: Any,
    examples: Iterable[Example | str],
    rows: Sequence[Row],
    *,
    tokenizer: Any = None,
    metrics: Sequence[str] = ("comprehensiveness", "sufficiency"),
    hide: str = "mask",
    target: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Line]:
    """Measures rows on texts.

    Args:
        model: a transformers model, a directory, a bundled name or a hub id.
        examples: texts, or examples.
        rows: what is measured, see `attnflow.evaluate.rows`.
        tokenizer: for a loaded model.
        metrics: names of `attnflow.evaluate.asked.METRICS`.
        hide: "mask" or "delete": how a token is hidden.
        target: the position asked about, as in `explain`; None: the model's one default.
        seed: of the intervals.
        progress: called as `progress(stage, done, total)`.

    Returns:
        One line per row, in their order. A row that this model refuses (ALTI on an encoder-decoder) says why.

    Raises:
        InputError: no examples, or a text that the model cannot read; the message says which.
        OptionError: an unknown metric, no rows, a way of hiding that the model does not have.
    """
    from attnflow.capture import load_model
    from attnflow.maxflow.compilation import compile_kernels
    from attnflow.methods import find

    wanted = [item if isinstance(item, Example) else Example(item) for item in examples]
    if not wanted or not rows:
        raise (InputError if rows else OptionError)(
            f"There are no {'texts' if rows else 'methods'} to measure: expected at least one."
        )
    for name in metrics:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
    if progress is not None:
        progress("loading the model", 0, None)
    loaded, words = load_model(model, tokenizer)
    ours = [find(row.method) for row in rows if isinstance(row, Ours)]
    if ours:  # before any time is taken
        compile_kernels(progress, barrier=any(method.barrier for method in ours))
    values: dict[str, dict[str, list[float]]] = {row.name: {name: [] for name in metrics} for row in rows}
    costs: dict[str, list[tuple[float, int, int]]] = {row.name: [] for row in rows}
    refused: dict[str, str] = {}
    for index, example in enumerate(wanted):
        try:
            made = prediction(loaded, example.text, tokenizer=words, target=target, output=example.output)
        except InputError as error:
            raise InputError(f"Text {index + 1} of {len(wanted)}: {error}") from error
        places = made.hideable
        if not len(places):
            raise InputError(f"Text {index + 1} of {len(wanted)} has no token that can be hidden.")
        case, asked = Case(made), Asked(made, hide)
        asked(np.ones((1, len(places)), bool))  # refuses a way of hiding that this model does not have
        for row in rows:
            if row.name in refused:
                continue
            try:
                scores, spent = row.scores(case)
            except AttnflowError as error:
                refused[row.name] = str(error)
                continue
            for name in metrics:
                values[row.name][name].append(METRICS[name].value(asked, scores[places]))
            costs[row.name].append((spent.seconds, spent.forward, spent.backward))
        if progress is not None:
            progress("measuring texts", index + 1, len(wanted))
    lines = []
    for row in rows:
        if row.name in refused:
            lines.append(Line(row.name, refused=refused[row.name]))
            continue
        seconds, forward, backward = np.mean(costs[row.name], axis=0)
        intervals = {name: bootstrap(values[row.name][name], seed=seed) for name in metrics}
        lines.append(
            Line(row.name, intervals, len(costs[row.name]), float(seconds), float(forward), float(backward))
        )
    return lines
