"""Attention rollout: where a backward walk from the target ends.

Abnar & Zuidema 2020 (arXiv 2005.00928): the product of the layers' matrices, here as the probability that
a walk which picks in-edges in proportion to capacity is absorbed at a player. A baseline: for
row-stochastic capacities and one target it is itself a maximum flow, one of many.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import OptionError
from attnflow.methods.problem import Method, Outcome, Problem
from attnflow.network import Block, FlowNetwork, Link


def solve(problem: Problem) -> Outcome:
    """Scores each player by the probability that the backward walk ends there."""
    network, target = problem.network, problem.target
    start = np.zeros(network.size)
    shares = target.weights or (1 / len(target.positions),) * len(target.positions)
    start[list(target.positions)] = shares
    ended = absorbed(network, start)
    scores = np.zeros(len(problem.groups))
    for column, group in enumerate(problem.groups):
        for index in group:
            for stack, position in network.players[index].nodes:
                scores[column] += ended[network.input_group(stack)][position]
    return Outcome(scores)


def absorbed(network: FlowNetwork, start: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Walks backwards until everything stands at input nodes that nothing feeds, or is lost.

    Args:
        network: the flow network.
        start: `[positions of the last group]`, where walks start.

    Returns:
        Per input group the walks that ended at each position. Walks that come to a node whose in-edges
        are all zero are lost.

    Raises:
        OptionError: a node has an infinite in-edge beside others, so that proportions mean nothing.
    """
    if network.own is not None:
        _refuse()
    inputs = [index for index, group in enumerate(network.groups) if group.layer == 0]
    ended = {index: np.zeros(network.groups[index].size) for index in inputs}
    closures = [edges for edges in network.edges if isinstance(edges, Link) and edges.target in inputs]
    forward = [edges for edges in network.edges if edges.target not in inputs]
    incoming, infinite = _incoming(network)
    for group, counts in enumerate(infinite):
        if ((counts > 0) & (incoming[group] > 0)).any() or (counts > 1).any():
            _refuse()
    while start.any():
        mass = [np.zeros(group.size) for group in network.groups]
        mass[network.final] = start
        for group in range(network.final, -1, -1):
            for edges in forward:
                if edges.target != group:
                    continue
                mass[edges.source] += _step(network, edges, mass[group], incoming[group], infinite[group])
        start = np.zeros(network.size)
        for index in inputs:
            arrived = mass[index]
            for link in closures:
                if link.target == index:
                    start[link.tails] += arrived[link.heads]
                    arrived[link.heads] = 0
            ended[index] += arrived
    return ended


def _refuse() -> NoReturn:
    raise OptionError(
        "method='rollout' is not defined on a network where infinite edges meet others (an open residual or "
        "gradient capacities): choose flow, shapley or central, or a residual below 1."
    )


def _incoming(network: FlowNetwork) -> tuple[list[NDArray[np.float64]], list[NDArray[np.int64]]]:
    """Per group the finite capacity that enters each node, and its number of infinite in-edges."""
    finite = [np.zeros(group.size) for group in network.groups]
    infinite = [np.zeros(group.size, dtype=np.int64) for group in network.groups]
    for edges in network.edges:
        endless = np.isinf(edges.capacity)
        capacity = np.where(endless, 0.0, edges.capacity.astype(np.float64))
        if isinstance(edges, Block):
            finite[edges.target] += capacity.sum(axis=1)
            infinite[edges.target] += endless.sum(axis=1)
        else:
            finite[edges.target][edges.heads] += capacity
            infinite[edges.target][edges.heads] += endless
    return finite, infinite


def _step(
    network: FlowNetwork,
    edges: Block | Link,
    mass: NDArray[np.float64],
    incoming: NDArray[np.float64],
    infinite: NDArray[np.int64],
) -> NDArray[np.float64]:
    """What moves back along one edge set from the nodes it enters."""
    weight = np.where(np.isinf(edges.capacity), 1.0, edges.capacity.astype(np.float64))
    total = np.where(infinite > 0, 1.0, incoming)
    rate = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
    moved = np.zeros(network.groups[edges.source].size)
    if isinstance(edges, Block):
        moved += weight.T @ rate
    else:
        moved[edges.tails] += weight * rate[edges.heads]
    return moved


METHOD = Method("rollout", solve, "Abnar & Zuidema 2020 (arXiv 2005.00928)", share=True)
