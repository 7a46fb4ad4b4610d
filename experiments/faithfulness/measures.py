"""The metrics of one row on one prediction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate.asked import METRICS, Asked

#: Those that ask about a few variants only.
FEW = ("comprehensiveness", "sufficiency", "log-odds")


def measured(asked: Asked, scores: NDArray[np.float64], curves: bool) -> dict[str, float]:
    """Every metric of one attribution.

    Args:
        asked: the model.
        scores: one per player that can be hidden.
        curves: whether to hide tokens one by one too.
    """
    return {name: METRICS[name].value(asked, scores) for name in (METRICS if curves else FEW)}
