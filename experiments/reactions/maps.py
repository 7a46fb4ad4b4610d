"""From scores between product and precursor atoms to a one-to-one atom map, and how right it is.

Three ways. `nearest` takes the highest score of each product atom, so that two may share one. `best` is the assignment
with the largest sum. `guided` is RXNMapper's (Schwaller et al. 2021, "attention-guided atom mapping"), written from its
description: the surest pair first, after which the neighbours of the two atoms are taken for each other FAVOUR times
more readily. All map only between atoms of one element.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from experiments.reactions.made import Reaction

Scores = NDArray[np.float64]

FAVOUR = 90.0


def nearest(scores: Scores, reaction: Reaction) -> NDArray[np.intp]:
    """The highest-scored precursor atom of every product atom, -1 where nothing scores; not one-to-one."""
    allowed = np.where(same_element(reaction), scores, 0.0)
    return np.where(allowed.max(1) > 0, allowed.argmax(1), -1)


def best(scores: Scores, reaction: Reaction) -> NDArray[np.intp]:
    """The precursor atom of every product atom, -1 for none.

    Args:
        scores: `[product atoms, precursor atoms]`, from 0 up; each row counts by its shares.
        reaction: whose atoms they are.
    """
    alike = same_element(reaction)
    shares = _shares(scores * alike)
    rows, columns = linear_sum_assignment(np.where(alike, shares, -1.0), maximize=True)
    found = np.full(len(scores), -1)
    found[rows] = np.where(alike[rows, columns], columns, -1)
    return found


def guided(scores: Scores, reaction: Reaction) -> NDArray[np.intp]:
    """As `best`, but pair by pair, neighbours of mapped atoms favoured."""
    start, alike = reaction.precursors, same_element(reaction)
    near = np.zeros((len(reaction.elements),) * 2, bool)
    for a, b in reaction.bonds:
        near[a, b] = near[b, a] = True
    weights = scores * alike
    found = np.full(len(scores), -1)
    for _ in range(len(scores)):
        shares = _shares(weights)
        row, column = np.unravel_index(shares.argmax(), shares.shape)
        if shares[row, column] <= 0:
            break
        found[row] = column
        weights[np.ix_(near[start + row, start:], near[column, :start])] *= FAVOUR
        weights[row] = 0
        weights[:, column] = 0
    return found


def right(found: NDArray[np.intp], reaction: Reaction) -> NDArray[np.bool_]:
    """Which product atoms are mapped to an atom they can have come from."""
    return np.array([atom in origins for atom, origins in zip(found.tolist(), reaction.origins)])


def same_element(reaction: Reaction) -> NDArray[np.bool_]:
    """Bool `[product atoms, precursor atoms]`."""
    numbers = np.array(reaction.elements)
    return numbers[reaction.precursors :, None] == numbers[None, : reaction.precursors]


def _shares(scores: Scores) -> Scores:
    sums = scores.sum(1, keepdims=True)
    return np.divide(scores, sums, out=np.zeros_like(scores), where=sums > 0)
