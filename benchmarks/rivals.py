"""Other maximum-flow solvers on the same networks: built outside the clock, checked to the last integer.

Every rival gets capacities in integer units that fit scipy's 32 bits, players as sources and the target as
sink, so that no edge but the network's own is needed. attnflow is timed on the network as it is (64-bit
units) and must agree within the rounding of theirs; on a network whose capacities are these very units it
must agree exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnflow import FlowNetwork, attribute
from attnflow.network import Block


@dataclass(frozen=True)
class Arcs:
    """A network for one target as a list of edges.

    Attributes:
        tail, head: node numbers.
        units: capacities in units of `2 ** -exponent`, none larger than v(N) rounded up: no flow could use more.
        nodes: how many.
        sources: node of each player.
        sink: node of the target.
    """

    tail: NDArray[np.int32]
    head: NDArray[np.int32]
    units: NDArray[np.int64]
    exponent: int
    nodes: int
    sources: tuple[int, ...]
    sink: int


def arcs(network: FlowNetwork, target: int) -> Arcs:
    start = np.concatenate([[0], np.cumsum([group.size for group in network.groups])])
    total = attribute(network, method="flow", targets=[target], bounds=False, threads=1).total[0]
    exponent = 30 - math.frexp(float(total))[1]
    limit = math.ceil(math.ldexp(float(total), exponent)) + 1
    tails, heads, units = [], [], []
    for edges, capacity in zip(network.edges, _capacities(network, target)):
        rounded = _rounded(capacity, exponent, limit)
        present = rounded > 0
        for found, ends, group in ((tails, edges.tails, edges.source), (heads, edges.heads, edges.target)):
            found.append(np.broadcast_to(ends, capacity.shape)[present] + start[group])
        units.append(rounded[present])
    inputs = {group.stack: index for index, group in enumerate(network.groups) if group.layer == 0}
    nodes = [node for player in network.players for node in player.nodes]
    return Arcs(
        np.concatenate(tails).astype(np.int32),
        np.concatenate(heads).astype(np.int32),
        np.concatenate(units),
        exponent,
        int(start[-1]),
        tuple(int(start[inputs[stack]]) + position for stack, position in nodes),
        int(start[-2]) + target % network.size,
    )


def rounded_network(network: FlowNetwork, target: int, exponent: int) -> FlowNetwork:
    """The network with capacities in whole units of the rivals', so that all must agree exactly."""
    edges = []
    for old, capacity in zip(network.edges, _capacities(network, target)):
        finite = np.isfinite(capacity)
        units = np.rint(np.ldexp(np.where(finite, capacity, 0.0), exponent))
        edges.append(replace(old, capacity=np.where(finite, np.ldexp(units, -exponent), np.inf)))
    return replace(network, edges=tuple(edges), own=None)


def _capacities(network: FlowNetwork, target: int) -> list[NDArray[np.float64]]:
    """Capacities of every block and link, with the target's own column as the open residual defines it."""
    found = [np.asarray(edges.capacity, dtype=np.float64) for edges in network.edges]
    if network.own is not None:
        inputs = network.input_group(network.groups[-1].stack)
        which = next(i for i, e in enumerate(network.edges) if isinstance(e, Block) and e.source == inputs)
        found[which] = found[which].copy()
        found[which][target, target] = network.own[target]
    return found


def _rounded(capacity: NDArray[np.float64], exponent: int, limit: int) -> NDArray[np.int64]:
    finite = np.isfinite(capacity)
    units = np.rint(np.ldexp(np.where(finite, capacity, 0.0), exponent))
    return np.where(finite, np.minimum(units, limit), limit).astype(np.int64)


def scipy(problem: Arcs) -> Callable[[int], int]:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_flow

    shape = (problem.nodes, problem.nodes)
    graph = csr_matrix((problem.units.astype(np.int32), (problem.tail, problem.head)), shape=shape)
    return lambda source: int(maximum_flow(graph, source, problem.sink, method="dinic").flow_value)


def ortools(problem: Arcs) -> Callable[[int], int]:
    from ortools.graph.python import max_flow

    solver = max_flow.SimpleMaxFlow()
    solver.add_arcs_with_capacity(problem.tail, problem.head, problem.units)

    def solve(source: int) -> int:
        if solver.solve(source, problem.sink) != solver.OPTIMAL:
            raise RuntimeError("ortools found no optimum")
        return int(solver.optimal_flow())

    return solve


def igraph(problem: Arcs) -> Callable[[int], int]:
    import igraph as ig

    graph = ig.Graph(n=problem.nodes, edges=np.stack([problem.tail, problem.head], 1), directed=True)
    graph.es["capacity"] = problem.units.astype(np.float64)
    return lambda source: round(graph.maxflow_value(source, problem.sink, capacity="capacity"))


def networkx(problem: Arcs) -> Callable[[int], int]:
    import networkx as nx
    from networkx.algorithms.flow import edmonds_karp

    graph = nx.DiGraph()
    graph.add_nodes_from(range(problem.nodes))
    columns = (problem.tail.tolist(), problem.head.tolist(), problem.units.tolist())
    graph.add_weighted_edges_from(zip(*columns), weight="capacity")
    return lambda source: int(nx.maximum_flow_value(graph, source, problem.sink, flow_func=edmonds_karp))


RIVALS: dict[str, Callable[[Arcs], Callable[[int], int]]] = {
    "scipy": scipy,
    "ortools": ortools,
    "igraph": igraph,
    "networkx": networkx,
}


def ours(network: FlowNetwork, target: int, threads: int = 1) -> NDArray[np.float64]:
    """v({j}) of every player, as a caller asks for it."""
    return attribute(network, method="flow", targets=[target], bounds=False, threads=threads).scores[0]


def check(
    network: FlowNetwork, target: int, problem: Arcs, answers: Sequence[int], players: Sequence[int]
) -> None:
    """Refuses a comparison of different answers.

    Raises:
        RuntimeError: a rival's value differs from ours: at all, in its own units; or beyond rounding, in ours.
    """
    theirs = np.asarray(answers, dtype=np.float64)
    exact = np.ldexp(ours(rounded_network(network, target, problem.exponent), target), problem.exponent)
    if not np.array_equal(exact[list(players)], theirs):
        raise RuntimeError(
            f"Values differ on equal capacities by {np.abs(exact[list(players)] - theirs).max():g} units."
        )
    apart = np.abs(np.ldexp(ours(network, target)[list(players)], problem.exponent) - theirs).max()
    if apart > problem.units.size / 2:
        raise RuntimeError(f"Values differ by {apart:g} units, more than rounding explains.")
