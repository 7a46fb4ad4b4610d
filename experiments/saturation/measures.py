"""What is measured of one network and one target: how tight, how wide, how flat, and what it agrees with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow import FlowNetwork, attribute
from attnflow.evaluate import rank_correlation

#: Orders of the Shapley values: enough to rank by, and few enough for thousands of networks.
ORDERS = 64
#: Flows this close, as a fraction of v(N), are equal: far above what rounding to integers does to a value.
EQUAL = 1e-9

Floats = NDArray[np.float64]


def near(network: FlowNetwork, target: Sequence[int]) -> tuple[Floats, float]:
    """The two cuts that need no solver: the finite edges nearest to each player, and those nearest to the target.

    Everything that infinite edges join to a player counts as the player, and likewise for the target. With a residual
    number there are no infinite edges, and the two are the player's first-layer column sum and the target's
    last-layer row sum (F4). With an open residual they are sums over all layers.

    Args:
        network: with players as its input positions.
        target: positions of the last group.

    Returns:
        Capacity that leaves each player, float64 [players], and capacity that enters the target.
    """
    edges = [_finite_and_not(network, index, target) for index in range(len(network.edges))]
    players = len(network.players)
    held = [np.zeros((players, group.size), bool) for group in network.groups]
    for j, player in enumerate(network.players):
        for stack, position in player.nodes:
            held[network.input_group(stack)][j, position] = True
    gathered = [np.zeros(group.size, bool) for group in network.groups]
    gathered[network.final][list(target)] = True
    # as often as there are groups: an infinite edge may be listed before the one that reaches its tail
    for _ in network.groups:
        for source, end, _, endless in edges:
            held[end] |= held[source] @ endless.T
            gathered[source] |= gathered[end] @ endless
    leaving, entering = np.zeros(players), 0.0
    for source, end, finite, _ in edges:
        leaving += np.einsum("jk,qk,jq->j", held[source], finite, ~held[end])
        entering += float(np.einsum("q,qk,k->", gathered[end], finite, ~gathered[source]))
    return leaving, entering


def _finite_and_not(
    network: FlowNetwork, index: int, target: Sequence[int]
) -> tuple[int, int, Floats, NDArray[np.bool_]]:
    """Source, target, finite capacities [queries, keys] and where they are infinite, of one list of edges."""
    edges = network.edges[index]
    C = np.zeros((network.groups[edges.target].size, network.groups[edges.source].size))
    C[edges.heads, edges.tails] = edges.capacity
    endless = np.isinf(C)
    first = network.groups[edges.source].layer == 0 and network.groups[edges.source].stack == _last(network)
    if first and network.own is not None:
        for position in target:
            if endless[position, position]:
                endless[position, position], C[position, position] = False, network.own[position]
    return edges.source, edges.target, np.where(endless, 0.0, C), endless


def _last(network: FlowNetwork) -> str:
    return network.groups[network.final].stack


def correlation(scores: ArrayLike, reference: ArrayLike) -> float | None:
    """Spearman's rank correlation, or None where one of the two is constant or there are fewer than four."""
    x, y = np.asarray(scores, float), np.asarray(reference, float)
    if x.size < 4 or np.ptp(x) <= EQUAL * np.abs(x).max() or np.ptp(y) <= EQUAL * np.abs(y).max():
        return None
    return rank_correlation(x, y)


def tied(values: Floats, slack: float) -> NDArray[np.bool_]:
    """Which values have an equal among the others."""
    apart: NDArray[np.bool_] = np.abs(values[:, None] - values[None, :]) <= slack
    np.fill_diagonal(apart, False)
    found: NDArray[np.bool_] = apart.any(axis=1)
    return found


def elsewhere(network: FlowNetwork, targets: Sequence[int]) -> list[float | None]:
    """Whether flow tells targets apart: for each, the mean rank correlation of its flow with that to the others.

    Over players that reach both; None where it is not defined for any pair.

    Args:
        network: what flows.
        targets: positions of the last group.
    """
    found = attribute(network, method="flow", targets=list(targets), bounds=False, threads=1).scores
    means: list[float | None] = []
    for row in range(len(targets)):
        pairs = []
        for other in range(len(targets)):
            both = (found[row] > 0) & (found[other] > 0)
            if other != row:
                pairs.append(correlation(found[row][both], found[other][both]))
        known = [pair for pair in pairs if pair is not None]
        means.append(float(np.mean(known)) if known else None)
    return means


def measured(
    network: FlowNetwork,
    target: Sequence[int],
    *,
    occlusion: Mapping[int, float] | None = None,
    orders: int | None = ORDERS,
) -> dict[str, Any]:
    """One network's figures for one target.

    Args:
        network: what flows.
        target: positions of the last group.
        orders: of the Shapley values; None leaves these out.
        occlusion: by player, what the output loses without it; players that cannot be hidden are left out.

    Returns:
        Numbers by name, None where one is not defined; players that do not reach the target count nowhere.
    """
    flow = attribute(network, method="flow", targets=[tuple(target)], threads=1)
    leaving, entering = near(network, target)
    total = float(flow.total[0])
    assert flow.lower is not None
    assert flow.upper is not None
    alone, lower = flow.upper[0], flow.lower[0]
    reach = np.flatnonzero(alone > EQUAL * total) if total > 0 else np.array([], int)
    if reach.size < 4:
        return {"players": int(reach.size)}
    v, out = alone[reach], leaving[reach]
    share = None
    if orders is not None:
        split = attribute(
            network, method="shapley", targets=[tuple(target)], samples=orders, bounds=False, threads=1
        )
        share = split.scores[0][reach]
    slack = EQUAL * max(total, 1e-300)
    parts = v / v.sum()
    entropy = float(-(parts * np.log(parts)).sum() / np.log(len(v)))
    found: dict[str, Any] = {
        "players": int(reach.size),
        "sender": float((v >= out - slack).mean()),
        "receiver": float((v >= entering - slack).mean()),
        "either": float((v >= np.minimum(out, entering) - slack).mean()),
        "all": float((v >= total - slack).mean()),
        "tied": float(tied(v, slack).mean()),
        "idle": float((tied(v, slack) | (v >= out - slack)).mean()),
        "width": float(((alone - lower)[reach] / total).mean()),
        "lower zero": float((lower[reach] <= slack).mean()),
        "upper": float((v / total).mean()),
        "entropy": entropy,
        "variation": float(v.std() / v.mean()),
        "flow~columns": correlation(v, out),
        "flow~near": correlation(v, np.minimum(out, entering)),
        "flow~position": correlation(v, reach),
        "shapley~columns": None if share is None else correlation(share, out),
        "shapley~flow": None if share is None else correlation(share, v),
        "flow~occlusion": None,
        "shapley~occlusion": None,
        "columns~occlusion": None,
        "position~occlusion": None,
    }
    if occlusion:
        kept = [index for index, player in enumerate(reach) if int(player) in occlusion]
        lost = [occlusion[int(reach[index])] for index in kept]
        for name, scores in (("flow", v), ("shapley", share), ("columns", out), ("position", reach)):
            if scores is not None:
                found[f"{name}~occlusion"] = correlation(np.asarray(scores)[kept], lost)
    return found
