"""Scores between source tokens and output tokens by every method: `[output tokens, source positions]`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import capture
from attnflow.evaluate import baselines
from attnflow.evaluate.prediction import of_trace
from experiments.alignment.copies import Copy
from experiments.grid import Row

Scores = NDArray[np.float64]

#: Methods without gradients, all targets in one trace.
BLIND = tuple(
    Row(method, capacity, residual, prefix)
    for method, capacity, residual in (
        ("attention", "attention", None),
        ("rollout", "attention", None),
        ("flow", "attention", None),
        ("shapley", "attention", None),
        ("central", "attention", None),
        ("rollout", "norm", None),
        ("flow", "attention", "open"),
        ("shapley", "attention", "open"),
        ("flow", "norm", "open"),
    )
    for prefix in ("players", "closed")
)
#: Methods that ask about one output at a time.
ASKED = (
    Row("flow", "conserved"),
    Row("flow", "relevance"),
    Row("shapley", "relevance"),
    Row("flow", "attention-gradient", "open"),
    Row("central", "attention-gradient"),
)
OTHERS = {
    "gradient-x-input": {},
    "integrated-gradients": {"baseline": "zero"},
    "chefer": {},
    "occlusion": {"hide": "delete"},
    "random": {"seed": 0},
}
CROSS = "cross-attention, mean of layers and heads"


def every(model: Any, made: Copy) -> dict[str, Scores]:
    """All scores of one molecule by name."""
    source = len(made.source)
    inputs = {"input_ids": torch.tensor([made.source]), "decoder_input_ids": torch.tensor([made.written])}
    targets = range(len(made.written) - 1)
    trace = capture(model, inputs=inputs, record=["attention", "norm"])
    opened = replace(trace, prompt=1)  # the start token is given, the rest was decoded
    found = {CROSS: np.mean(trace.record("attention").cross, axis=0)[:-1].astype(np.float64)}
    for row in BLIND:
        found[row.name] = row.scores(opened, targets)[:, :source]
    rows: dict[str, list[Scores]] = {}
    for target in targets:
        asked = capture(
            model,
            inputs=inputs,
            record=sorted({row.record for row in ASKED}),
            target=target,
            output=made.written[target + 1],
        )
        for row in ASKED:
            rows.setdefault(row.name, []).append(row.scores(asked, [target])[0, :source])
        question = of_trace(model, asked)
        for name, options in OTHERS.items():
            scores = baselines.scores(name, question, **options)[:source]
            rows.setdefault(name, []).append(np.maximum(scores, 0.0))
    return found | {name: np.array(scores) for name, scores in rows.items()}
