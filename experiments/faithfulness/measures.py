"""The metrics of one row on one prediction. The model is asked about every variant of its input once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.evaluate import (
    activation_curve,
    aopc,
    area,
    comprehensiveness,
    log_odds,
    pruning_curve,
    pruning_error,
    sufficiency,
)
from attnflow.evaluate.prediction import Prediction


@dataclass
class Asked:
    """A prediction's output over variants of its input, remembered.

    Attributes:
        prediction: whose output.
        hide: "mask" or "delete".
        known: by variant.
    """

    prediction: Prediction
    hide: str
    known: dict[bytes, float] = field(default_factory=dict)

    def __call__(self, shown: NDArray[np.bool_]) -> NDArray[np.float64]:
        rows = [np.packbits(row).tobytes() for row in shown]
        new = {key: at for at, key in enumerate(rows) if key not in self.known}
        if new:
            values = self.prediction.hiding(self.hide)(shown[list(new.values())])
            self.known.update(zip(new, map(float, values)))
        return np.array([self.known[key] for key in rows])


def measured(asked: Asked, scores: ArrayLike, curves: bool) -> dict[str, float]:
    """Every metric of one attribution.

    Args:
        asked: the model.
        scores: one per player that can be hidden.
        curves: whether to hide tokens one by one too.
    """
    found = {
        "comprehensiveness": comprehensiveness(asked, scores),
        "sufficiency": sufficiency(asked, scores),
        "log-odds": log_odds(asked, scores),
    }
    if curves:
        found["aopc"] = aopc(asked, scores)
        found["activation"] = area(activation_curve(asked, scores))
        found["pruning"] = area(pruning_error(pruning_curve(asked, scores)))
    return found
