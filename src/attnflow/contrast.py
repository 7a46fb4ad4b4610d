"""The difference of two results on the same players."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution, Player, Scores, Target
from attnflow.capacity import SCHEMES
from attnflow.errors import OptionError


def difference(left: Attribution, right: Attribution) -> Attribution:
    """Computes `left - right`, score by score: two inputs, two targets or two models.

    Args:
        left: what to subtract from.
        right: what to subtract: players at the same positions, and as many targets, or one target which
            is then subtracted from each.

    Returns:
        Scores and totals subtracted; standard errors as of independent estimates, a result without any
        counting as exact; estimates from one seed share their orders, and then the error is mostly overstated:
        give the two sides different seeds. Intervals and bottlenecks belong to one game, so the difference has none,
        nor a network.

    Raises:
        OptionError: results that differ in players, method, capacity scheme or number of targets.
    """
    for name in ("method", "capacity", "residual", "unit"):
        if getattr(left, name) != getattr(right, name):
            raise OptionError(
                f"Results differ in {name} ({getattr(left, name)!r} and {getattr(right, name)!r}), so their scores "
                "are not in the same unit: subtract results of the same method and scheme."
            )
    if [player.nodes for player in left.players] != [player.nodes for player in right.players]:
        raise OptionError(
            f"The results have different players ({len(left.players)} and {len(right.players)}, or at other "
            "positions): subtract results on inputs of as many tokens, or group both into as many words."
        )
    if len(right.targets) not in (1, len(left.targets)):
        raise OptionError(
            f"The results have {len(left.targets)} and {len(right.targets)} targets: expected as many, or one."
        )
    pick = np.zeros(len(left.targets), dtype=int) if len(right.targets) == 1 else np.arange(len(left.targets))
    return replace(
        left,
        scores=left.scores - right.scores[pick],
        total=left.total - right.total[pick],
        players=tuple(_pair(one, other) for one, other in zip(left.players, right.players)),
        targets=tuple(_versus(one, right.targets[row]) for one, row in zip(left.targets, pick)),
        lower=None,
        upper=None,
        bottleneck=None,
        stderr=_error(left.stderr, None if right.stderr is None else right.stderr[pick], left.scores),
        estimated=left.estimated or right.estimated,
        samples=None if left.samples != right.samples else left.samples,
        error_bound=left.error_bound + right.error_bound,
        gap=None if left.gap is None or right.gap is None else left.gap + right.gap[pick],
        excluded_cost=None
        if left.excluded_cost is None or right.excluded_cost is None or left.excluded != right.excluded
        else left.excluded_cost - right.excluded_cost[pick],
        supporting=None,
        opposing=None,
        notes=tuple(dict.fromkeys((*left.notes, *right.notes, *_outputs(left, right, pick)))),
        text=left.text if left.text == right.text else None,
        provenance={"contrast": [dict(left.provenance), dict(right.provenance)]},
        network=None,
        networks=None,
    )


def signed(supporting: Attribution, opposing: Attribution) -> Attribution:
    """Joins what speaks for an output and what speaks against it: score = supporting - opposing (ours).

    Args:
        supporting: scores on the network of support.
        opposing: scores of the same players and targets on the network of opposition.

    Returns:
        The difference, with both parts kept. `total` is the difference of the two totals.
    """
    joined = difference(supporting, opposing)
    options = {**supporting.provenance.get("options", {}), "signed": True}
    notes = joined.notes
    if supporting.method == "rollout":
        notes += (
            "Rollout gives parts of 1, for and against alike, however little one side holds: compare players of one "
            "side, or choose flow, shapley or central for sides in one unit.",
        )
    return replace(
        joined,
        notes=notes,
        targets=supporting.targets,
        supporting=supporting.scores,
        opposing=opposing.scores,
        provenance={**supporting.provenance, "options": options},
        text=supporting.text,
    )


def _error(left: Scores | None, right: Scores | None, like: Scores) -> Scores | None:
    if left is None and right is None:
        return None
    zero = np.zeros_like(like)
    return np.hypot(zero if left is None else left, zero if right is None else right)


def _outputs(left: Attribution, right: Attribution, pick: NDArray[np.intp]) -> list[str]:
    """A note if the two sides ask about different outputs of the same positions, without having been told to."""
    scheme = SCHEMES.get(left.capacity or "")
    told = [side.provenance.get("options", {}).get("output") is not None for side in (left, right)]
    if scheme is None or not scheme.gradient or left.text == right.text or all(told):
        return []
    asked = [(one.label, right.targets[row].label) for one, row in zip(left.targets, pick)]
    return [
        f"The two sides ask about different outputs, {one} and {other}: what speaks for the one less what speaks for "
        "the other. To compare inputs, name one `output` for both."
        for one, other in dict.fromkeys(asked)
        if one != other
    ]


def _pair(one: Player, other: Player) -> Player:
    if one.label == other.label:
        return one if one.span == other.span else replace(one, span=None)
    return replace(one, label=f"{one.label} − {other.label}", span=None)


def _versus(one: Target, other: Target) -> Target:
    if one == other:
        return one
    return replace(one, label=f"{one.name} − {other.name}", probability=None, weights=None)
