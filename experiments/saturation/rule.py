"""A rule that tells when flow says nothing of its target: fitted on half of the inputs, checked on unseen ones.

What is to be told: an example's flow to one target ranks players as its flow to other targets does, mean rank
correlation `SAME` or more. Such a ranking is no answer to a question about this target. What it may be told by is known
from one target alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]

#: A rank correlation from which two rankings count as one.
SAME = 0.9
#: Thresholds that are tried.
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))

SIGNS: dict[str, Callable[[Row], float]] = {
    "tight at the first layer": lambda row: row["sender"],
    "tight at the first layer or the target": lambda row: row["either"],
    "tight at the first layer, or equal to another's": lambda row: row["idle"],
    "rank correlation with column sums": lambda row: (
        1.0 if row["flow~columns"] is None else row["flow~columns"]
    ),
}


@dataclass(frozen=True)
class Told:
    """How well a sign tells.

    Attributes:
        cases: how many.
        same: the part of them whose ranking is one for all targets.
        caught: part of those that the sign is raised for.
        false: part of the others that it is raised for.
    """

    cases: int
    same: float
    caught: float | None
    false: float | None

    @property
    def balanced(self) -> float | None:
        """Mean of the parts told right in both classes; 0.5 is chance."""
        return None if self.caught is None or self.false is None else (self.caught + 1 - self.false) / 2


def told(rows: Sequence[Row], sign: str, threshold: float) -> Told:
    """Raises a sign above a threshold and compares with what is so."""
    same = np.array([row["elsewhere"] >= SAME for row in rows], bool)
    raised = np.array([SIGNS[sign](row) > threshold for row in rows], bool)
    return Told(len(rows), float(same.mean()), _part(raised[same]), _part(raised[~same]))


def fitted(rows: Sequence[Row], sign: str) -> float:
    """The threshold with the best balanced accuracy; of equally good ones the middle."""
    found = [told(rows, sign, threshold).balanced or 0.0 for threshold in THRESHOLDS]
    best = [threshold for threshold, value in zip(THRESHOLDS, found) if value >= max(found) - 1e-12]
    return best[len(best) // 2]


def _part(raised: NDArray[np.bool_]) -> float | None:
    return float(raised.mean()) if raised.size else None
