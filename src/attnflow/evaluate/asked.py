"""A prediction's output over variants of its input, each asked for once, and the metrics by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate.curves import activation_curve, area, pruning_curve, pruning_error
from attnflow.evaluate.erasure import aopc, comprehensiveness, log_odds, sufficiency
from attnflow.evaluate.prediction import Prediction


@dataclass
class Asked:
    """A `Predict` that remembers what it was told, so that methods which hide the same tokens share passes.

    Attributes:
        prediction: whose output.
        hide: "mask" or "delete".
        known: by variant.
    """

    prediction: Prediction
    hide: str
    known: dict[bytes, float] = field(default_factory=dict)

    def __call__(self, shown: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Float64 [variants] of bool [variants, hideable players]."""
        keys = [np.packbits(row).tobytes() for row in shown]
        new = {key: at for at, key in enumerate(keys) if key not in self.known}
        if new:
            values = np.asarray(self.prediction.hiding(self.hide)(shown[list(new.values())]))
            self.known.update(zip(new, map(float, values)))
        return np.array([self.known[key] for key in keys])


@dataclass(frozen=True)
class Metric:
    """One number of an attribution.

    Attributes:
        value: of the model and the scores of the players that can be hidden.
        higher: whether more is better.
    """

    value: Callable[[Asked, Sequence[float] | NDArray[np.float64]], float]
    higher: bool


#: By name, as `attnflow.evaluate` defines them.
METRICS: dict[str, Metric] = {
    "comprehensiveness": Metric(lambda asked, scores: comprehensiveness(asked, scores), True),
    "sufficiency": Metric(lambda asked, scores: sufficiency(asked, scores), False),
    "log-odds": Metric(lambda asked, scores: log_odds(asked, scores), False),
    "aopc": Metric(lambda asked, scores: aopc(asked, scores), True),
    "activation": Metric(lambda asked, scores: area(activation_curve(asked, scores)), True),
    "pruning": Metric(lambda asked, scores: area(pruning_error(pruning_curve(asked, scores))), False),
}
