"""How well scores find what is known to matter, and what hundreds of examples say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.evaluate import Interval, auroc, bootstrap, precision_at_k
from experiments.records import Record


def grade(scores: NDArray[np.float64], truth: ArrayLike) -> dict[str, float] | None:
    """AUROC, and precision at as many as matter; None where all players matter or none does.

    Args:
        scores: one per player.
        truth: bool, one per player.
    """
    matters = np.asarray(truth, bool)
    if matters.all() or not matters.any():
        return None
    return {"auroc": auroc(scores, matters), "precision": precision_at_k(scores, matters)}


def mean_of(grades: Iterable[Mapping[str, float] | None]) -> dict[str, float] | None:
    """The mean of an example's grades, those that are defined; None if none is."""
    kept = [found for found in grades if found is not None]
    if not kept:
        return None
    return {name: float(np.mean([found[name] for found in kept])) for name in kept[0]}


def interval(records: Sequence[Record], value: Callable[[Record], float | None]) -> Interval | None:
    """The mean over examples with its bootstrap interval; None if there are none.

    Args:
        records: one per example.
        value: of an example, None where it is not defined.
    """
    values = [found for found in map(value, records) if found is not None]
    return bootstrap(values, resamples=2000) if values else None
