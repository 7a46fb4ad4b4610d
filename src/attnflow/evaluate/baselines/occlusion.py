"""Occlusion: hide each token alone and see how much the output falls (Zeiler & Fergus 2014)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate.erasure import blank_out
from attnflow.evaluate.prediction import Prediction


def scores(prediction: Prediction, *, hide: str = "mask", scale: str = "probability") -> NDArray[np.float64]:
    """The output less the output without the token: one forward pass for each, and one.

    Args:
        prediction: what is explained. Tokens that are never hidden score 0.
        hide: "mask" or "delete", see `Prediction.values`.
        scale: what falls: the output's "probability" or its "logit".
    """
    places = prediction.hideable
    found = np.zeros(prediction.players)
    if len(places):
        found[places] = blank_out(prediction.hiding(hide, scale=scale), len(places))
    return found
