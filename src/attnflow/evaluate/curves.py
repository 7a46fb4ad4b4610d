"""Curves of the output as the input is built up or worn down token by token (Ali et al. 2022, section 5.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import InputError
from attnflow.evaluate.erasure import Predict, order, values


def activation_curve(predict: Predict, scores: ArrayLike) -> NDArray[np.float64]:
    """The output while players are added from the highest score down, beginning with none.

    A good attribution makes it rise early: its `area` is higher.

    Args:
        predict: the model, with its way of hiding what is not shown.
        scores: one number per player.

    Returns:
        float64 [players + 1]; the first with nothing shown, the last with everything.
    """
    return values(predict, _shown(order(scores)))


def pruning_curve(predict: Predict, scores: ArrayLike) -> NDArray[np.float64]:
    """The output while players are taken away from the lowest score up, beginning with all.

    Among equal scores the later ones go first, so that this is the activation curve read backwards. A good attribution
    leaves the output as it was for long: the `area` of `pruning_error` is lower.

    Args:
        predict: the model, with its way of hiding what is not shown.
        scores: one number per player.

    Returns:
        float64 [players + 1]; the first with everything shown, the last with nothing.
    """
    return values(predict, _shown(order(scores))[::-1])


def pruning_error(curve: ArrayLike) -> NDArray[np.float64]:
    """The squared difference of each point of a pruning curve from its first, the whole input's.

    Args:
        curve: of `pruning_curve`.

    Returns:
        float64, as long.
    """
    points = np.asarray(curve, dtype=np.float64)
    result: NDArray[np.float64] = (points - points[0]) ** 2
    return result


def area(curve: ArrayLike) -> float:
    """The area under a curve whose points are spread evenly from 0 to 1, by the trapezoidal rule.

    Args:
        curve: at least two points.

    Returns:
        The area; a constant curve's is its value.

    Raises:
        InputError: fewer than two points.
    """
    points = np.asarray(curve, dtype=np.float64)
    if points.ndim != 1 or points.size < 2:
        raise InputError(f"A curve has at least two points, found an array of shape {points.shape}.")
    return float((points[:-1] + points[1:]).mean() / 2)


def _shown(ranked: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Bool [players + 1, players]: row k shows the k highest."""
    n = len(ranked)
    place = np.empty(n, np.intp)
    place[ranked] = np.arange(n)
    result: NDArray[np.bool_] = place[None, :] < np.arange(n + 1)[:, None]
    return result
