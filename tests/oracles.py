"""Independent checkers: other libraries' maximum flows, exact fractions, brute-force Shapley values.

Nothing here uses attnflow's solver. `arcs` walks a network's edges itself and adds a supersource and a
supersink; every oracle solves those arcs in its own way.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import networkx
import numpy as np
from numpy.typing import NDArray

from attnflow.network import Block, FlowNetwork

Target = int | Sequence[int]


class UnboundedError(Exception):
    """Players reach the target over infinite edges alone."""


@dataclass(frozen=True)
class Arcs:
    """A plain flow problem. Capacities may be np.inf; absent edges are left out."""

    tails: NDArray[np.int64]
    heads: NDArray[np.int64]
    capacity: NDArray[np.float64]
    nodes: int
    source: int
    sink: int
    players: tuple[int, ...]

    @property
    def finite(self) -> NDArray[np.bool_]:
        return np.isfinite(self.capacity)


def arcs(
    network: FlowNetwork,
    target: Target,
    players: Sequence[int] | None = None,
    weights: Sequence[float] | None = None,
    supply: Mapping[int, float] | None = None,
) -> Arcs:
    """Every arc of the problem: the network's, then the supersource's, then the supersink's.

    Args:
        network: the network.
        target: a position of the last group, or several.
        players: indices of those who supply; None: all.
        weights: capacities from target positions to the supersink; None: infinite.
        supply: what single players can send; others any amount.
    """
    start = np.concatenate([[0], np.cumsum([group.size for group in network.groups])])
    positions = [target] if isinstance(target, (int, np.integer)) else list(target)
    positions = [position % network.groups[-1].size for position in positions]
    inputs = {group.stack: index for index, group in enumerate(network.groups) if group.layer == 0}
    own_from = inputs[network.groups[-1].stack] if network.own is not None else -1
    found: list[tuple[int, int, float]] = []
    for part in network.edges:
        tail, head = int(start[part.source]), int(start[part.target])
        if isinstance(part, Block):
            for q in range(part.capacity.shape[0]):
                for k in range(part.capacity.shape[1]):
                    capacity = float(part.capacity[q, k])
                    if part.source == own_from and q == k and q in positions:
                        capacity = float(network.own[q])
                    found.append((tail + k, head + q, capacity))
        else:
            for i, capacity in enumerate(part.capacity):
                found.append((tail + part.first + i, head + part.first + i + part.shift, float(capacity)))
    source, sink = int(start[-1]), int(start[-1]) + 1
    chosen = range(len(network.players)) if players is None else players
    for j in chosen:
        limit = math.inf if supply is None else supply.get(j, math.inf)
        for stack, position in network.players[j].nodes:
            found.append((source, int(start[inputs[stack]]) + position, limit))
    for position, weight in zip(positions, weights or [math.inf] * len(positions)):
        found.append((int(start[-2]) + position, sink, float(weight)))
    kept = [arc for arc in found if arc[2] > 0]
    tails, heads, capacity = (np.array(column) for column in zip(*kept)) if kept else ([], [], [])
    return Arcs(
        np.asarray(tails, dtype=np.int64),
        np.asarray(heads, dtype=np.int64),
        np.asarray(capacity, dtype=np.float64),
        sink + 1,
        source,
        sink,
        tuple(chosen),
    )


def reaches(problem: Arcs, infinite: bool = False) -> set[int]:
    """Nodes from which the sink can be reached, over infinite arcs only if `infinite`."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(problem.nodes))
    mask = ~problem.finite if infinite else np.ones(problem.capacity.size, dtype=bool)
    graph.add_edges_from(zip(problem.heads[mask].tolist(), problem.tails[mask].tolist()))
    return set(networkx.descendants(graph, problem.sink)) | {problem.sink}


def check_bounded(problem: Arcs) -> None:
    if problem.source in reaches(problem, infinite=True):
        raise UnboundedError


# -- values --------------------------------------------------------------------------------------------


def by_networkx(problem: Arcs) -> float:
    """Edmonds-Karp in floats; infinite arcs have no capacity attribute."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(problem.nodes))
    for tail, head, capacity in zip(
        problem.tails.tolist(), problem.heads.tolist(), problem.capacity.tolist()
    ):
        graph.add_edge(tail, head, **({} if math.isinf(capacity) else {"capacity": capacity}))
    try:
        return float(
            networkx.maximum_flow_value(
                graph,
                problem.source,
                problem.sink,
                flow_func=networkx.algorithms.flow.edmonds_karp,
            )
        )
    except networkx.NetworkXUnbounded as error:
        raise UnboundedError from error


def by_igraph(problem: Arcs) -> float:
    """Push-relabel in floats; an infinite arc holds more than all finite ones together."""
    import igraph

    check_bounded(problem)
    large = 2 * float(problem.capacity[problem.finite].sum()) + 1
    graph = igraph.Graph(
        n=problem.nodes, edges=list(zip(problem.tails.tolist(), problem.heads.tolist())), directed=True
    )
    capacity = np.where(problem.finite, problem.capacity, large).tolist()
    return float(graph.maxflow_value(problem.source, problem.sink, capacity=capacity))


def by_scipy(problem: Arcs, bits: int | None = None) -> float:
    """Dinic in 32-bit integers. Exact if every capacity is a multiple of `2 ** -bits` that fits.

    Without `bits` the result is off by up to half a unit per arc of a cut.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_flow

    check_bounded(problem)
    top = int(np.iinfo(np.int32).max)
    total = float(problem.capacity[problem.finite].sum())
    if bits is None:
        bits = 29 - math.frexp(total)[1] if total > 0 else 0
    units = np.rint(np.ldexp(np.where(problem.finite, problem.capacity, 0.0), bits))
    assert units.max(initial=0) < top
    units = np.where(problem.finite, units, top).astype(np.int32)
    graph = csr_matrix((units, (problem.tails, problem.heads)), shape=(problem.nodes, problem.nodes))
    return math.ldexp(maximum_flow(graph, problem.source, problem.sink, method="dinic").flow_value, -bits)


def by_ortools(problem: Arcs) -> float:
    """Push-relabel in 64-bit integers, at a scale where all finite capacities together fit."""
    from ortools.graph.python import max_flow

    check_bounded(problem)
    if problem.capacity.size == 0:
        return 0.0
    total = float(problem.capacity[problem.finite].sum())
    bits = 60 - math.frexp(total)[1] if total > 0 else 0
    units = np.rint(np.ldexp(np.where(problem.finite, problem.capacity, 0.0), bits)).astype(np.int64)
    units = np.where(problem.finite, units, int(units.sum()) + 1)
    solver = max_flow.SimpleMaxFlow()
    solver.add_arcs_with_capacity(
        problem.tails.astype(np.int32), problem.heads.astype(np.int32), units.astype(np.int64)
    )
    if problem.source >= solver.num_nodes() or problem.sink >= solver.num_nodes():
        return 0.0
    status = solver.solve(problem.source, problem.sink)
    assert status == solver.OPTIMAL
    return math.ldexp(solver.optimal_flow(), -bits)


def exactly(problem: Arcs) -> Fraction:
    """Shortest augmenting paths in fractions: the true value, for tiny problems."""
    check_bounded(problem)
    # `room[(u, v)]` is what can still go from u to v; None is any amount.
    room: dict[tuple[int, int], Fraction | None] = {}
    beside: dict[int, set[int]] = {node: set() for node in range(problem.nodes)}
    for tail, head, capacity in zip(
        problem.tails.tolist(), problem.heads.tolist(), problem.capacity.tolist()
    ):
        more = None if math.isinf(capacity) else Fraction(capacity)
        before = room.get((tail, head), Fraction(0))
        room[tail, head] = None if more is None or before is None else before + more
        room.setdefault((head, tail), Fraction(0))
        beside[tail].add(head)
        beside[head].add(tail)
    total = Fraction(0)
    while True:
        parent = {problem.source: problem.source}
        queue = deque([problem.source])
        while queue and problem.sink not in parent:
            node = queue.popleft()
            for other in beside[node]:
                if other not in parent and room[node, other] != 0:
                    parent[other] = node
                    queue.append(other)
        if problem.sink not in parent:
            return total
        path = [problem.sink]
        while path[-1] != problem.source:
            path.append(parent[path[-1]])
        steps = [(b, a) for a, b in itertools.pairwise(path)]
        amount = min(room[step] for step in steps if room[step] is not None)
        for tail, head in steps:
            if room[tail, head] is not None:
                room[tail, head] -= amount
            if room[head, tail] is not None:
                room[head, tail] += amount
        total += amount


def largest_split(problem: Arcs, value: float, weights: Mapping[int, float]) -> float:
    """Largest weighted sum of the players' shares over all maximum flows, by linear programming."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix

    count = problem.tails.size
    gain = np.zeros(count)
    # the supersource's arcs stand in the order of the players
    leaving = np.flatnonzero(problem.tails == problem.source)
    for arc, j in zip(leaving, problem.players):
        gain[arc] = weights[j]
    inner = np.ones(problem.nodes, dtype=bool)
    inner[[problem.source, problem.sink]] = False
    rows = np.concatenate([problem.heads, problem.tails])
    entries = np.concatenate([np.ones(count), -np.ones(count)])
    columns = np.tile(np.arange(count), 2)
    balance = coo_matrix((entries, (rows, columns)), shape=(problem.nodes, count)).tocsr()[inner]
    bounds = [(0, None if math.isinf(capacity) else capacity) for capacity in problem.capacity]
    arrive = np.where(problem.heads == problem.sink, -1.0, 0.0)
    found = linprog(
        -gain,
        A_eq=balance,
        b_eq=np.zeros(int(inner.sum())),
        A_ub=arrive[None],
        b_ub=[-value * (1 - 1e-12)],
        bounds=bounds,
        method="highs",
    )
    assert found.status == 0, found.message
    return float(-found.fun)


# -- games ---------------------------------------------------------------------------------------------


def game(
    network: FlowNetwork,
    target: Target,
    weights: Sequence[float] | None = None,
    groups: Sequence[Sequence[int]] | None = None,
    solve: Callable[[Arcs], float] = by_ortools,
) -> list[float]:
    """V(S) for every coalition; bit j of the index says that player (or group) j is in S."""
    members = [[j] for j in range(len(network.players))] if groups is None else groups
    values = []
    for number in range(1 << len(members)):
        players = [p for j, group in enumerate(members) if number >> j & 1 for p in group]
        values.append(solve(arcs(network, target, players, weights)) if players else 0.0)
    return values


def shapley_by_subsets(values: Sequence[float]) -> list[float]:
    """Shapley values from the definition: weighted marginals over all subsets."""
    n = len(values).bit_length() - 1
    scores = []
    for j in range(n):
        terms = [
            (values[number | 1 << j] - values[number]) / (n * math.comb(n - 1, number.bit_count()))
            for number in range(len(values))
            if not number >> j & 1
        ]
        scores.append(math.fsum(terms))
    return scores


def shapley_by_orders(values: Sequence[float]) -> list[float]:
    """Shapley values from the other definition: mean marginal over all orders. For a few players."""
    n = len(values).bit_length() - 1
    sums = [0.0] * n
    for order in itertools.permutations(range(n)):
        joined = 0
        for j in order:
            sums[j] += values[joined | 1 << j] - values[joined]
            joined |= 1 << j
    return [total / math.factorial(n) for total in sums]


def shapley_by_shapiq(values: Sequence[float]) -> list[float]:
    """Shapley values by shapiq's exact computer."""
    import shapiq

    n = len(values).bit_length() - 1
    worth = np.asarray(values)

    def evaluated(coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        return worth[np.atleast_2d(coalitions) @ (1 << np.arange(n))]

    found = shapiq.ExactComputer(evaluated, n_players=n)("SV", order=1)
    return [float(found[(j,)]) for j in range(n)]
