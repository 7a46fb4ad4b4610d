"""Scores drawn at random: what a method must beat to say anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate.prediction import Prediction


def scores(prediction: Prediction, *, seed: int = 0) -> NDArray[np.float64]:
    """Uniform numbers from 0 to 1.

    Args:
        prediction: says how many.
        seed: the same seed and input, the same numbers.
    """
    return np.random.default_rng((seed, *prediction.ids)).random(prediction.players)
