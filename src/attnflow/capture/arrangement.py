"""The records of a pass beside the attention weights, arranged as the weights are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from attnflow.capture.gradients import Gathered
from attnflow.capture.layers import Stacks
from attnflow.capture.outputs import Question
from attnflow.errors import CaptureError
from attnflow.trace import Record, Trace


class Arranged(Protocol):
    """A pass whose attention weights are arranged."""

    @property
    def stacks(self) -> Stacks:
        """The weights."""

    @property
    def crops(self) -> Mapping[str, tuple[Sequence[int] | None, Sequence[int] | None]]:
        """Per stack, which queries and keys are not padding, None for all."""


def arranged(model: Any, name: str, matrices: Mapping[int, Any], found: Arranged) -> Record:
    """One more record of the same pass: its matrices where the attention of the same calls stands."""
    layers: dict[str, tuple[Any, ...]] = {}
    for stack, calls in found.stacks.calls.items():
        queries, keys = found.crops[stack]
        rows = []
        for call, attention in zip(calls, getattr(found.stacks, stack)):
            if call is None:
                rows.append(np.eye(*attention.shape, dtype=attention.dtype))
                continue
            matrix = matrices.get(call)
            if matrix is None:
                raise CaptureError(
                    f"{type(model).__name__}: the output has no gradient with respect to the attention in {stack} "
                    f"layer {len(rows) + 1}; expected one in every layer. Use attention capacities."
                )
            matrix = matrix if queries is None else matrix[list(queries)]
            matrix = matrix if keys is None else matrix[:, list(keys)]
            if not np.isfinite(matrix).all():
                raise CaptureError(
                    f"{type(model).__name__}: {name} in {stack} layer {len(rows) + 1} holds NaN or infinite "
                    "values; load the model in float32."
                )
            rows.append(np.ascontiguousarray(matrix))
        layers[stack] = tuple(rows)
    return Record(**layers)


def of_one_output(model: Any, trace: Trace, found: Arranged, question: Question, gathered: Gathered) -> Trace:
    """The trace with the records of one output's gradient."""
    records = {name: arranged(model, name, layers, found) for name, layers in gathered.layers.items()}
    relevance = {}
    for name, values in gathered.inputs.items():
        stack = trace.architecture if name == "only" else name
        keep = found.crops[stack][0]
        relevance[stack] = values if keep is None else values[list(keep)]
    asked = {
        "label": question.decision.label,
        "id": list(question.id) if isinstance(question.id, tuple) else question.id,
        "value": gathered.value,
        "positions": list(question.decision.positions),
    }
    return replace(
        trace,
        records={**trace.records, **records},
        decisions=(question.decision,),
        input_relevance=relevance,
        provenance={**trace.provenance, "outputs": [asked]},
    )
