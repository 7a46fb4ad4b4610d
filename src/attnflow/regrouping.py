"""A result's players grouped afterwards, with the scores that the groups then have."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnflow.attribution import ADDITIVE, Player
from attnflow.errors import OptionError
from attnflow.merging import merge, spelled

if TYPE_CHECKING:
    from attnflow.attribution import Attribution, Scores
    from attnflow.network import FlowNetwork


#: In the note of method "flow" on how many players' own edges limit them, which regrouping makes anew.
_LIMITED = "players' flows are limited"


def regroup(
    result: Attribution, groups: Iterable[Sequence[int]], labels: Sequence[str] | None = None
) -> Attribution:
    """Computes the result with groups of its players as players. See `Attribution.group`.

    The new players stand in the order of their first members, so that grouping here and grouping by hand
    through `attribute(players=...)` in that order ask the same question and get the same answer.

    Args:
        result: the result.
        groups: disjoint sequences of indices into `result.players`; players in none stay as they are.
        labels: one per group; default the text they span.

    Returns:
        Sums for additive methods, with bounds solved again where the result has its network and None
        elsewhere; for other methods the game solved again with the result's own options.

    Raises:
        OptionError: the groups are not disjoint, empty or out of range; or the game must be solved again and
            the result has no network.
    """
    named = _partition(result, groups, labels)
    players = tuple(
        merge([result.players[j] for j in members], result.text, label) for members, label in named.items()
    )
    if len(players) == len(result.players):
        return replace(result, players=players)
    options = _options(result)
    if result.method not in ADDITIVE or result.stderr is not None or options.get("decay"):
        if options.get("signed"):
            raise OptionError(
                f"A signed {result.method} result cannot be grouped afterwards: its supporting and opposing games are "
                "solved apart. Explain with players='words'."
            )
        again = _solved(result, list(named), result.method, result.lower is not None)
        kept = [note for note in result.notes if note not in again.notes and _LIMITED not in note]
        return replace(
            result,
            players=players,
            scores=again.scores,
            total=again.total,
            lower=again.lower,
            upper=again.upper,
            bottleneck=again.bottleneck,
            stderr=again.stderr,
            estimated=again.estimated,
            samples=again.samples,
            excluded_cost=again.excluded_cost,
            notes=(*kept, *again.notes),
        )
    lower = upper = bottleneck = None
    if result.lower is not None and result.network is not None and not options.get("signed"):
        again = _solved(result, list(named), "flow", True)
        lower, upper, bottleneck = again.lower, again.upper, again.bottleneck
    return replace(
        result,
        scores=_summed(result.scores, named),
        supporting=None if result.supporting is None else _summed(result.supporting, named),
        opposing=None if result.opposing is None else _summed(result.opposing, named),
        players=players,
        lower=lower,
        upper=upper,
        bottleneck=bottleneck,
    )


def _partition(
    result: Attribution, groups: Iterable[Sequence[int]], labels: Sequence[str] | None
) -> dict[tuple[int, ...], str | None]:
    """Every player in one group, groups in the order of their first members, with labels."""
    count = len(result.players)
    asked = [tuple(_member(index, count) for index in group) for group in groups]
    if labels is not None and len(labels) != len(asked):
        raise OptionError(f"Found {len(labels)} labels for {len(asked)} groups.")
    seen: set[int] = set()
    found: dict[tuple[int, ...], str | None] = {}
    for number, group in enumerate(asked):
        if not group:
            raise OptionError(f"Group {number} is empty: leave it out.")
        twice = next(
            (index for place, index in enumerate(group) if index in seen or index in group[:place]), None
        )
        if twice is not None:
            raise OptionError(
                f"Groups must be disjoint; player {twice} ({result.players[twice].label!r}) is in two."
            )
        seen.update(group)
        members = tuple(sorted(group))
        found[members] = (
            spelled([result.players[j] for j in members], result.text) if labels is None else labels[number]
        )
    found.update({(index,): None for index in range(count) if index not in seen})
    return dict(sorted(found.items(), key=lambda item: item[0]))


def _member(index: Any, count: int) -> int:
    if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not -count <= index < count:
        raise OptionError(
            f"Player {index!r}: expected an index from 0 to {count - 1} into the result's players."
        )
    return int(index) % count


def _summed(scores: Scores, groups: Iterable[tuple[int, ...]]) -> Scores:
    return np.stack([scores[:, list(group)].sum(axis=1) for group in groups], axis=1)


def _solved(result: Attribution, groups: Sequence[tuple[int, ...]], method: str, bounds: bool) -> Attribution:
    """Solves the result's game again with groups of its players as players."""
    from attnflow.methods import attribute

    if result.network is None:
        raise OptionError(
            f"Grouping {result.method} scores solves the game again, and this result has no network: save it with "
            "save(path, network=True), group before joining results, or explain with players='words'."
        )
    network = result.network
    own = _owned(network, result.players)
    taken = {
        name
        for name, part in inspect.signature(attribute).parameters.items()
        if part.default is not part.empty
    }
    taken -= {"players", "exclude", "weights", "bounds", "labels", "threads", "progress"}
    if method != result.method:
        taken &= {"decay"}
    weights = [target.weights for target in result.targets]
    again = attribute(
        network,
        method=method,
        targets=[target.positions for target in result.targets],
        players=[[index for member in group for index in own[member]] for group in groups],
        exclude=[index for owned in _owned(network, result.excluded) for index in owned],
        weights=None if all(share is None for share in weights) else weights,
        bounds=bounds,
        **{name: value for name, value in _options(result).items() if name in taken and value is not None},
    )
    if not np.allclose(again.total, result.total, rtol=1e-9, atol=4 * result.error_bound):
        raise OptionError(
            "The result's network does not give its totals, so its game is not the one to solve again: explain with "
            "players='words'."
        )
    return again


def _options(result: Attribution) -> dict[str, Any]:
    return dict(result.provenance.get("options", {}))


def _owned(network: FlowNetwork, players: Iterable[Player]) -> list[list[int]]:
    """For each player the indices into `network.players` of those it is made of."""
    owner = {node: index for index, part in enumerate(network.players) for node in part.nodes}
    found = []
    for player in players:
        owned = sorted({owner[node] for node in player.nodes if node in owner})
        if {node for index in owned for node in network.players[index].nodes} != set(player.nodes):
            raise OptionError(
                f"Player {player.label!r} is not made of the network's players, so its game cannot be solved again."
            )
        found.append(owned)
    return found
