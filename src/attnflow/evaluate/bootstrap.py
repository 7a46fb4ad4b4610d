"""How sure a mean over examples is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import InputError, OptionError


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval it lies in.

    Attributes:
        estimate: of all examples.
        lower: the interval's lower end.
        upper: its upper end.
        level: its confidence, such as 0.95.
    """

    estimate: float
    lower: float
    upper: float
    level: float


def _mean(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = sample.mean(axis=-1)
    return result


def bootstrap(
    examples: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], ArrayLike] = _mean,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap (Efron & Tibshirani 1993, chapter 13).

    Hand in differences between two methods on the same examples to compare the two.

    Args:
        examples: one number per example, independent of each other.
        statistic: maps `[..., examples]` to `[...]`; the mean unless another is given.
        level: confidence, between 0 and 1.
        resamples: how often to draw as many examples with replacement.
        seed: settles the draws.

    Returns:
        The statistic of all examples and its interval.

    Raises:
        InputError: no examples, or some are not finite numbers.
        OptionError: level or resamples out of range.
    """
    vector = np.asarray(examples, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0 or not np.isfinite(vector).all():
        raise InputError(f"examples: expected finite numbers, one per example, found shape {vector.shape}.")
    if not 0 < level < 1:
        raise OptionError(f"level={level!r}: expected a number between 0 and 1.")
    if resamples < 1:
        raise OptionError(f"resamples={resamples!r}: expected at least 1.")
    rng = np.random.default_rng(seed)
    at_once = max(1, 1_000_000 // vector.size)
    drawn = [
        np.asarray(
            statistic(vector[rng.integers(0, vector.size, (min(at_once, resamples - done), vector.size))])
        )
        for done in range(0, resamples, at_once)
    ]
    tail = (1 - level) / 2
    lower, upper = np.quantile(np.concatenate(drawn), [tail, 1 - tail])
    return Interval(float(np.asarray(statistic(vector))), float(lower), float(upper), level)
