"""What the model's output does when the tokens that an attribution ranks high are taken away.

Players are erased from the highest score down; equal scores in the order of the text. Of n players a fraction f
means the f * n highest, rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import InputError, OptionError
from attnflow.evaluate.ranking import chosen, finite

#: bool [variants, players], True where a player is shown -> value of the output for each variant.
Predict = Callable[[NDArray[np.bool_]], ArrayLike]

#: Fractions erased unless others are asked for.
FRACTIONS = (0.1, 0.2, 0.3, 0.5)


def order(scores: ArrayLike) -> NDArray[np.intp]:
    """Players from the highest score to the lowest, equal ones in the order of the text."""
    return np.argsort(-finite(scores), kind="stable")


def count(fraction: float, players: int) -> int:
    """How many players a fraction of them is, rounded up.

    Raises:
        OptionError: the fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise OptionError(f"fraction={fraction!r}: expected a number above 0 and at most 1.")
    return math.ceil(fraction * players - 1e-9)


def values(predict: Predict, shown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Asks `predict` about some variants and checks what it says.

    Args:
        predict: the model.
        shown: bool [variants, players].

    Returns:
        float64 [variants].

    Raises:
        InputError: it does not return one finite number per variant.
    """
    found = np.asarray(predict(shown), dtype=np.float64)
    if found.shape != (len(shown),):
        raise InputError(
            f"predict returned shape {found.shape}: expected one number for each of {len(shown)} variants."
        )
    if not np.isfinite(found).all():
        raise InputError("predict returned a value that is not a finite number.")
    return found


def _highest(scores: ArrayLike, sizes: Sequence[int]) -> NDArray[np.bool_]:
    """For each size, which players are among that many highest: bool [sizes, players]."""
    ranked = order(scores)
    place = np.empty(len(ranked), np.intp)
    place[ranked] = np.arange(len(ranked))
    return place[None, :] < np.asarray(sizes)[:, None]


def _with_all(predict: Predict, shown: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    found = values(predict, np.concatenate([np.ones((1, shown.shape[1]), bool), shown]))
    return float(found[0]), found[1:]


def comprehensiveness(predict: Predict, scores: ArrayLike, fractions: Sequence[float] = FRACTIONS) -> float:
    """How much the output falls when the highest-scored players are erased (DeYoung et al. 2020, section 5).

    The mean over the fractions of p(all) - p(all but the highest). Higher is better.

    Args:
        predict: the model, with its way of hiding what is not shown.
        scores: one number per player.
        fractions: of the players to erase, each above 0 and at most 1.

    Returns:
        The mean fall, in units of p.
    """
    n = finite(scores).size
    everything, left = _with_all(predict, ~_highest(scores, [count(f, n) for f in fractions]))
    return float(np.mean(everything - left))


def sufficiency(predict: Predict, scores: ArrayLike, fractions: Sequence[float] = FRACTIONS) -> float:
    """How much the output falls when nothing but the highest-scored players is left (DeYoung et al. 2020).

    The mean over the fractions of p(all) - p(the highest alone). Lower is better.

    Args:
        predict: the model, with its way of hiding what is not shown.
        scores: one number per player.
        fractions: of the players to keep, each above 0 and at most 1.

    Returns:
        The mean fall, in units of p.
    """
    n = finite(scores).size
    everything, left = _with_all(predict, _highest(scores, [count(f, n) for f in fractions]))
    return float(np.mean(everything - left))


def aopc(predict: Predict, scores: ArrayLike, steps: int | None = None) -> float:
    """Area over the perturbation curve (Samek et al. 2017, eq. 12): players erased one at a time.

    The sum over k = 0..K of p(all) - p(all but the k highest), divided by K + 1. Higher is better.

    Args:
        predict: the model, with its way of hiding what is not shown.
        scores: one number per player.
        steps: K; None: all players.

    Returns:
        The area, in units of p.

    Raises:
        OptionError: more steps than players, or fewer than one.
    """
    n = finite(scores).size
    last = n if steps is None else steps
    if not 1 <= last <= n:
        raise OptionError(f"steps={last}: expected 1 to {n}, the number of players.")
    everything, left = _with_all(predict, ~_highest(scores, range(1, last + 1)))
    return float(np.sum(everything - left) / (last + 1))


def log_odds(predict: Predict, scores: ArrayLike, fractions: Sequence[float] = FRACTIONS) -> float:
    """Mean log of the probability ratio after and before erasing the highest-scored players.

    The mean over the fractions of ln p(all but the highest) - ln p(all); what Shrikumar et al. 2017 and Chen et
    al. 2019 call the log-odds score, though it is a ratio of probabilities. Lower is better.

    Args:
        predict: the model, with its way of hiding what is not shown; it must return probabilities.
        scores: one number per player.
        fractions: of the players to erase, each above 0 and at most 1.

    Returns:
        The mean, in nats.

    Raises:
        InputError: `predict` returns something that is not above 0 and at most 1.
    """
    n = finite(scores).size
    everything, left = _with_all(predict, ~_highest(scores, [count(f, n) for f in fractions]))
    lowest, highest = min(everything, left.min()), max(everything, left.max())
    if lowest <= 0 or highest > 1 + 1e-6:
        wrong = lowest if lowest <= 0 else highest
        raise InputError(f"Log-odds need probabilities above 0 and at most 1: predict returned {wrong:g}.")
    return float(np.mean(np.log(left) - math.log(everything)))


def blank_out(predict: Predict, players: int) -> NDArray[np.float64]:
    """Each player's effect when it alone is erased: p(all) - p(all but that one).

    Abnar & Zuidema (2020, section 4) rank tokens by it; also called occlusion or leave-one-out.

    Args:
        predict: the model, with its way of hiding what is not shown.
        players: how many there are.

    Returns:
        float64 [players].
    """
    if players < 1:
        raise OptionError(f"players={players}: expected at least one.")
    everything, left = _with_all(predict, ~np.eye(players, dtype=bool))
    return everything - left


def masked(
    ids: Sequence[int],
    shown: ArrayLike | Iterable[int],
    replacement: int,
    players: Sequence[Sequence[int]] | None = None,
) -> list[int]:
    """An input with the players that are not shown replaced by one token: its length stays.

    Args:
        ids: token ids.
        shown: booleans, one per player, or the players shown.
        replacement: id to put in their place: of the mask token, or of padding where there is none.
        players: the positions of each; None: each position is a player. Positions of no player stay.

    Returns:
        Token ids, as many as before.
    """
    hidden = _hidden(len(ids), shown, players)
    return [replacement if position in hidden else token for position, token in enumerate(ids)]


def deleted(
    ids: Sequence[int], shown: ArrayLike | Iterable[int], players: Sequence[Sequence[int]] | None = None
) -> list[int]:
    """An input without the players that are not shown: what is left moves together.

    Args:
        ids: token ids.
        shown: booleans, one per player, or the players shown.
        players: the positions of each; None: each position is a player. Positions of no player stay.

    Returns:
        Token ids, perhaps none.
    """
    hidden = _hidden(len(ids), shown, players)
    return [token for position, token in enumerate(ids) if position not in hidden]


def _hidden(
    length: int, shown: ArrayLike | Iterable[int], players: Sequence[Sequence[int]] | None
) -> set[int]:
    groups = (
        [(position,) for position in range(length)]
        if players is None
        else [tuple(group) for group in players]
    )
    places = [position for group in groups for position in group]
    if places and not 0 <= min(places) <= max(places) < length:
        raise InputError(f"players: positions {min(places)} to {max(places)} in an input of {length} tokens.")
    kept = chosen(shown, len(groups))
    return {position for group, is_kept in zip(groups, kept) if not is_kept for position in group}
