"""What can be measured side by side: a method of ours on a capacity scheme, or a baseline.

A row is a name and a way to score a prediction. Traces are captured once for each number of steps and shared by all
rows; the time of the capture counts for each.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnflow.capacity import Residual, find
from attnflow.capture import capture
from attnflow.evaluate import baselines
from attnflow.evaluate.prediction import Prediction
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.trace import GRADIENT_RECORDS, Trace

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Spent:
    """What scores cost.

    Attributes:
        seconds: of this process's processor.
        forward: inputs run forward.
        backward: inputs differentiated.
    """

    seconds: float
    forward: int
    backward: int


@dataclass
class Case:
    """A prediction, and what was captured of it so far.

    Attributes:
        prediction: what is explained.
        traces: by what was asked for, with the seconds it took.
    """

    prediction: Prediction
    traces: dict[tuple[str, int], tuple[Trace, float]] = field(default_factory=dict)

    def trace(self, record: str, steps: int) -> tuple[Trace, float]:
        """A trace that holds a record, averaged over steps from the baseline."""
        key = ("gradients" if record in GRADIENT_RECORDS and record != "conserved" else record, steps)
        if key not in self.traces:
            made = self.prediction
            gradients = record in GRADIENT_RECORDS
            asked: dict[str, Any] = {"record": [record]}
            if gradients:
                output = made.output if len(made.output) > 1 else made.output[0]
                asked = {
                    "record": list(GRADIENT_RECORDS),
                    "target": made.target,
                    "output": output,
                    "steps": steps,
                }
            begun = time.process_time()
            trace = capture(made.model, inputs=made.tensors(), tokenizer=made.tokenizer, **asked)
            self.traces[key] = trace, time.process_time() - begun
        return self.traces[key]


@dataclass(frozen=True)
class Ours:
    """A method of ours on a network.

    Attributes:
        method: its name.
        capacity: the scheme's.
        residual: weight, "open", or None for the scheme's own.
        signed: what speaks for the output less what speaks against it.
        steps: points from the baseline to the input.
        prefix: "players" or "closed".
    """

    method: str
    capacity: str
    residual: Residual | None = None
    signed: bool = False
    steps: int = 1
    prefix: Literal["players", "closed"] = "players"

    @property
    def name(self) -> str:
        """What tables call it."""
        residual = find(self.capacity).residual if self.residual is None else self.residual
        parts = [self.method, self.capacity]
        if not find(self.capacity).keeps:
            parts.append(f"r={residual:g}" if isinstance(residual, float) else str(residual))
        parts += ["signed"] if self.signed else []
        parts += [f"{self.steps} steps"] if self.steps > 1 else []
        parts += ["closed"] if self.prefix == "closed" else []
        return " · ".join(parts)

    def scores(self, case: Case) -> tuple[Scores, Spent]:
        """Float64 [players], and what they cost."""
        trace, captured = case.trace(find(self.capacity).record, self.steps)
        begun = time.process_time()
        found = self._of(trace, case.prediction.target, opposing=False)
        if self.signed:
            found = found - self._of(trace, case.prediction.target, opposing=True)
        record = find(self.capacity).record
        backward = self.steps if record in GRADIENT_RECORDS else 0
        first = 1 if record == "conserved" else 0  # the pass before the one that is differentiated
        forward = max(backward, 1) + first
        return found, Spent(captured + time.process_time() - begun, forward, backward)

    def _of(self, trace: Trace, target: Sequence[int], *, opposing: bool) -> Scores:
        network = FlowNetwork.from_trace(trace, self.capacity, self.residual, self.prefix, opposing=opposing)
        weights = None
        decision = trace.decisions[0] if trace.decisions else None
        if decision is not None and network.row_stochastic and decision.positions == tuple(target):
            weights = decision.weights
        result = attribute(
            network,
            method=self.method,
            targets=[tuple(target)],
            weights=[weights],
            bounds=False,
            threads=1,
        )
        return np.asarray(result.scores[0], dtype=np.float64)


@dataclass(frozen=True)
class Theirs:
    """A baseline.

    Attributes:
        baseline: its name in the registry.
        options: of the method.
        suffix: what tells it from the same method with other options.
    """

    baseline: str
    options: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.baseline}{self.suffix}"

    def scores(self, case: Case) -> tuple[Scores, Spent]:
        """Float64 [players], and what they cost."""
        made, captured = case.prediction, 0.0
        record = {"chefer": "attention-gradient", "gaf-attention-gradient": "attention-gradient"}.get(
            self.baseline
        )
        record = record or {"gaf-attention": "attention", "gaf-gradient": "gradient"}.get(self.baseline)
        passes = (0, 0)
        if record is not None:
            trace, captured = case.trace(record, 1)
            made = replace(made, trace=trace)
            passes = (1, int(record in GRADIENT_RECORDS))
        before = (made.cost.forward, made.cost.backward)
        begun = time.process_time()
        found = baselines.scores(self.baseline, made, **self.options)
        seconds = captured + time.process_time() - begun
        after = (made.cost.forward, made.cost.backward)
        return found, Spent(seconds, *(a - b + c for a, b, c in zip(after, before, passes)))


Row = Ours | Theirs
