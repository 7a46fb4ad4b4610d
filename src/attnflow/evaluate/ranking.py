"""Whether the tokens that matter are ranked before those that do not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import InputError, OptionError


def finite(scores: ArrayLike, name: str = "scores") -> NDArray[np.float64]:
    """Scores as a float64 vector.

    Args:
        scores: one number per player.
        name: what to call them in a refusal.

    Returns:
        float64 [players].

    Raises:
        InputError: no vector, empty, or with entries that are no numbers.
    """
    vector = np.asarray(scores, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise InputError(f"{name}: expected one number per player, found an array of shape {vector.shape}.")
    if not np.isfinite(vector).all():
        raise InputError(
            f"{name}: {int((~np.isfinite(vector)).sum())} of {vector.size} are not finite numbers."
        )
    return vector


def chosen(relevant: ArrayLike | Iterable[int], players: int) -> NDArray[np.bool_]:
    """A set of players as a boolean vector.

    Args:
        relevant: booleans, one per player, or the positions of the players meant.
        players: how many there are.

    Returns:
        bool [players].

    Raises:
        InputError: positions out of range, or booleans of another length.
    """
    given = np.asarray(list(relevant) if not isinstance(relevant, np.ndarray) else relevant)  # type: ignore[arg-type]
    if given.dtype == bool:
        if given.shape != (players,):
            raise InputError(f"relevant: expected {players} booleans, found shape {given.shape}.")
        return given
    made = np.zeros(players, bool)
    if given.size == 0:
        return made
    if not np.issubdtype(given.dtype, np.integer) or given.ndim != 1:
        raise InputError("relevant: expected booleans, one per player, or positions of players.")
    if given.min() < 0 or given.max() >= players:
        raise InputError(
            f"relevant: position {int(given.max())} with {players} players, expected 0 to {players - 1}."
        )
    made[given] = True
    return made


def ranks(scores: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, lowest score first; equal scores share the mean of their ranks.

    Args:
        scores: one number per player.

    Returns:
        float64 [players].
    """
    vector = finite(scores)
    _, inverse, counts = np.unique(vector, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: NDArray[Any] = last - (counts - 1) / 2
    result: NDArray[np.float64] = mean[inverse]
    return result


def auroc(scores: ArrayLike, relevant: ArrayLike | Iterable[int]) -> float:
    """Area under the receiver operating characteristic.

    The probability that a relevant player drawn at random scores higher than an irrelevant one, ties counting one
    half (Hanley & McNeil 1982). 0.5 is chance.

    Args:
        scores: one number per player.
        relevant: booleans, or positions.

    Returns:
        From 0 to 1.

    Raises:
        InputError: all players are relevant, or none is: the area is then not defined.
    """
    vector = finite(scores)
    truth = chosen(relevant, vector.size)
    hits = int(truth.sum())
    misses = vector.size - hits
    if hits == 0 or misses == 0:
        raise InputError(f"AUROC needs relevant and other players: found {hits} relevant of {vector.size}.")
    above = ranks(vector)[truth].sum() - hits * (hits + 1) / 2
    return float(above / (hits * misses))


def precision_at_k(scores: ArrayLike, relevant: ArrayLike | Iterable[int], k: int | None = None) -> float:
    """The share of relevant players among the `k` with the highest scores.

    Where players tie across the cut, this is the expected share if the tie is broken at random.

    Args:
        scores: one number per player.
        relevant: booleans, or positions.
        k: how many to look at; None: as many as are relevant (R-precision; Manning et al. 2008, section 8.4).

    Returns:
        From 0 to 1.

    Raises:
        InputError: no player is relevant.
        OptionError: k is less than 1, or more than there are players.
    """
    vector = finite(scores)
    truth = chosen(relevant, vector.size)
    if not truth.any():
        raise InputError("Precision needs at least one relevant player, found none.")
    size = int(truth.sum()) if k is None else k
    if not 1 <= size <= vector.size:
        raise OptionError(f"k={size}: expected 1 to {vector.size}, the number of players.")
    cut = np.partition(vector, vector.size - size)[vector.size - size]
    above, tied = vector > cut, vector == cut
    places = size - int(above.sum())
    return float((truth[above].sum() + places * truth[tied].mean()) / size)


def rank_correlation(scores: ArrayLike, reference: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's correlation of the ranks, equal scores sharing theirs.

    With the effects of `blank_out` as reference this is Abnar & Zuidema's (2020, section 4) measure.

    Args:
        scores: one number per player.
        reference: likewise.

    Returns:
        From -1 to 1.

    Raises:
        InputError: different lengths, or one of the two is constant: the correlation is then not defined.
    """
    x, y = finite(scores), finite(reference, "reference")
    if x.size != y.size:
        raise InputError(
            f"Rank correlation of {x.size} scores with {y.size} reference values: expected as many."
        )
    for name, vector in (("scores", x), ("reference", y)):
        if (vector == vector[0]).all():
            raise InputError(f"Rank correlation is not defined: the {name} are all the same, {vector[0]:g}.")
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
