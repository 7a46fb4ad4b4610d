"""The program whose solution is the central flow, cut down to what is left to decide.

Maximise sum of ln f + ln(c - f) over the finite edges, subject to conservation and f >= 0 on the infinite
ones, which carry no term of the sum. Two programs have this form. In the limit mu -> 0, total flow is
v(N) already and only the edges that differ between maximum flows are left. At mu > 0, all edges on a path
from a player to the target are left, and the pull of the target is a potential difference of 1 / mu.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attnflow.barrier.connectivity import by_tail, joined, reached, strong_components
from attnflow.errors import NetworkError
from attnflow.maxflow import Solver
from attnflow.maxflow.graph import INFINITE, Graph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Edges:
    """A target's network as a plain list of edges in integer units, supersource and supersink included.

    The network's own edges come first, in the order of `Graph.capacity`; then one infinite edge from the
    supersource to each node of a player; then one edge from each target position to the supersink.

    Attributes:
        tail: `[edges]`, node numbers.
        head: `[edges]`.
        capacity: `[edges]` in units; INFINITE for infinite ones, 0 for edges on no path from a player to
            the target.
        group: `[nodes]`, the group each node belongs to; supersource and supersink have the two last
            numbers.
        players: number of supersource edges.
        targets: number of supersink edges.
    """

    tail: Nodes
    head: Nodes
    capacity: Ints
    group: Ints
    players: int
    targets: int

    @property
    def nodes(self) -> int:
        """Number of nodes; the last two are supersource and supersink."""
        return self.group.size

    @property
    def own(self) -> int:
        """Number of the network's own edges."""
        return self.tail.size - self.players - self.targets


@dataclass(frozen=True, eq=False)
class Program:
    """What is left to decide, in a unit in which the largest finite capacity is about 1.

    Attributes:
        index: `[edges]`, which of `Edges` these are.
        tail: `[edges]`.
        head: `[edges]`.
        capacity: `[edges]`, np.inf for infinite ones.
        supply: `[nodes]`, what leaves each node less what enters it.
        example: `[edges]`, some flow with these supplies.
        potential: `[nodes]`, NaN where conservation must hold and the potential is free; the fixed
            potentials are 0 at the supersource and 1 / mu, or 0 in the limit, at the supersink.
        group: `[nodes]`.
        settled: indices of the infinite edges whose flow conservation makes non-negative by itself.
        exponent: the unit is `2 ** -exponent`.
        loose: bound on what leaving out slivers (see `limit_program`) may change any flow by.
    """

    index: Ints
    tail: Nodes
    head: Nodes
    capacity: Floats
    supply: Floats
    example: Floats
    potential: Floats
    group: Ints
    settled: Ints = field(repr=False)
    exponent: int
    loose: float = 0.0

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.group.size


def edges_of(solver: Solver) -> Edges:
    """Lists the edges of a target's network; those on no path from a player to the target get capacity 0."""
    graph, network = solver.graph, solver.network
    nodes = graph.nodes
    source, sink = nodes, nodes + 1
    tails, heads = graph.ends(network)
    supplied = solver.board.members
    taken = solver.targets
    tail = np.concatenate([tails, np.full(supplied.size, source), taken]).astype(np.int32)
    head = np.concatenate([heads, supplied, np.full(taken.size, sink)]).astype(np.int32)
    capacity = np.concatenate(
        [
            graph.units_for(solver.positions),
            np.full(supplied.size, INFINITE, dtype=np.int64),
            solver.demands,
        ]
    )
    present = np.flatnonzero(capacity)
    onwards = reached(*by_tail(tail[present], head[present], nodes + 2), source)
    backwards = reached(*by_tail(head[present], tail[present], nodes + 2), sink)
    capacity[~(onwards[tail] & backwards[head])] = 0
    last = len(network.groups)
    group = np.concatenate(
        [np.repeat(np.arange(len(network.groups)), np.diff(graph.start)), [last, last + 1]]
    )
    return Edges(tail, head, capacity, group, supplied.size, taken.size)


def full_flow(edges: Edges, flow: Ints) -> Ints:
    """Adds what the supersource and supersink edges carry to a flow on the network's own edges."""
    tail, head = edges.tail[: edges.own], edges.head[: edges.own]
    net = np.zeros(edges.nodes, dtype=np.int64)
    np.add.at(net, tail, flow)
    np.subtract.at(net, head, flow)
    supplied = edges.head[edges.own : edges.own + edges.players]
    taken = edges.tail[edges.own + edges.players :]
    return np.concatenate([flow, net[supplied], -net[taken]])


def limit_program(edges: Edges, flow: Ints, sliver: int = 0) -> Program:
    """The program of the limit mu -> 0.

    An edge differs between maximum flows only if its ends lie in one strong component of the residual
    graph of any of them: pushing flow round a residual cycle is all that can change. (An edge that is
    partly filled and lies on no cycle but its own back and forth has its ends in one component and yet
    is constant. It may stay: conservation fixes it and its term of the sum is a constant.) The return arc
    from sink to source could only close a cycle if the flow were not maximal.

    Capacities that would be equal but for their last digits leave slivers of room that float64 cannot
    tell from rounding. With `sliver` > 0, residual arcs with no more room than that are left out, so that
    components fall into parts, and what flows between parts stays as it is. How far can that be wrong?
    Order the parts so that the arcs that were kept run forwards. A change of flow is a circulation: it
    carries over any cut between parts no more forwards than backwards, and backwards there are only
    slivers. Summed over cuts, no more than twice the slivers' room times the parts they span moves
    between parts, and twice that is the change of supplies that the program was spared.

    Args:
        edges: the target's network.
        flow: `[edges]`, a maximum flow on all of `Edges`, in units.
        sliver: residual room, in units, that counts as none.

    Raises:
        NetworkError: infinite edges alone form a loop, which leaves the flow open.
    """
    part = _residual_components(edges, flow, sliver)
    varying = (part[edges.tail] == part[edges.head]) & (edges.capacity > 0)
    constant = np.where(varying, 0, flow)
    supply = np.zeros(edges.nodes, dtype=np.int64)
    np.subtract.at(supply, edges.tail, constant)
    np.add.at(supply, edges.head, constant)
    supply[-2:] = 0
    loose = 0.0
    if sliver > 0:
        whole = _residual_components(edges, flow, 0)
        _, rank = np.unique(whole * (part.max() + 1) + part, return_inverse=True)
        span = rank[edges.head] - rank[edges.tail]  # components are numbered against the arcs' direction
        between = (whole[edges.tail] == whole[edges.head]) & (edges.capacity > 0)
        ahead, back = between & (span > 0), between & (span < 0)
        loose += float((span[ahead] * (edges.capacity - flow)[ahead].astype(np.float64)).sum())
        loose -= float((span[back] * flow[back].astype(np.float64)).sum())
    return _program(edges, np.flatnonzero(varying), supply, flow, 0.0, 4 * loose)


def _residual_components(edges: Edges, flow: Ints, sliver: int) -> Ints:
    room, used = np.flatnonzero(edges.capacity - flow > sliver), np.flatnonzero(flow > sliver)
    label: Ints = strong_components(
        *by_tail(
            np.concatenate([edges.tail[room], edges.head[used]]),
            np.concatenate([edges.head[room], edges.tail[used]]),
            edges.nodes,
        )
    )
    return label


def barrier_program(edges: Edges, graph: Graph, mu: float) -> Program:
    """The program at a finite barrier.

    Args:
        edges: the target's network.
        graph: its unit.
        mu: weight of the sum, in the capacities' unit.

    Raises:
        NetworkError: infinite edges alone form a loop, which leaves the flow open.
    """
    return _program(
        edges,
        np.flatnonzero(edges.capacity),
        np.zeros(edges.nodes, dtype=np.int64),
        np.zeros_like(edges.capacity),
        1 / float(np.ldexp(mu, graph.exponent)),
    )


def _program(edges: Edges, index: Ints, supply: Ints, flow: Ints, pull: float, loose: float = 0.0) -> Program:
    tail, head, units = edges.tail[index], edges.head[index], edges.capacity[index]
    infinite = np.flatnonzero(units >= INFINITE)
    _, loop = joined(tail[infinite], head[infinite], edges.nodes)
    if loop >= 0:
        raise NetworkError(
            "Infinite edges alone form a loop (directions ignored) through which flow can be shifted at will, so there "
            "is no one central flow: give an edge of the loop a finite capacity, or use method='shapley'."
        )
    settled = _settled(edges, tail, head, infinite, supply)
    finite = units[units < INFINITE]
    exponent = int(finite.max()).bit_length() if finite.size else 0
    potential = np.full(edges.nodes, np.nan)
    potential[-2:] = 0.0, np.ldexp(pull, exponent)
    return Program(
        index=index,
        tail=tail,
        head=head,
        capacity=np.where(units >= INFINITE, np.inf, np.ldexp(units.astype(np.float64), -exponent)),
        supply=np.ldexp(supply.astype(np.float64), -exponent),
        example=np.ldexp(flow[index].astype(np.float64), -exponent),
        potential=potential,
        group=edges.group,
        settled=settled,
        exponent=exponent,
        loose=float(np.ldexp(loose, -exponent)),
    )


def _settled(edges: Edges, tail: Nodes, head: Nodes, infinite: Ints, supply: Ints) -> Ints:
    """Infinite edges that need no sign constraint.

    The only edge out of a node that never consumes, or the only one into a node that never supplies,
    carries what the node's other edges make it carry, and that is not negative. Its ends can then be
    treated as one node, which may show the same of further edges.
    """
    nodes = edges.nodes
    leaving = np.bincount(tail, minlength=nodes).tolist()
    entering = np.bincount(head, minlength=nodes).tolist()
    surplus = supply.tolist()  # Python integers: sums of them do not overflow
    parent = list(range(nodes))
    fixed = [False] * (nodes - 2) + [True, True]

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    settled: list[int] = []
    waiting = infinite.tolist()
    while True:
        left = []
        for e in waiting:
            a, b = root(int(tail[e])), root(int(head[e]))
            free = (leaving[a] == 1 and surplus[a] >= 0 and not fixed[a]) or (
                entering[b] == 1 and surplus[b] <= 0 and not fixed[b]
            )
            if not free or (fixed[a] and fixed[b]):
                left.append(e)
                continue
            settled.append(e)
            parent[b] = a
            leaving[a] += leaving[b] - 1
            entering[a] += entering[b] - 1
            surplus[a] += surplus[b]
            fixed[a] = fixed[a] or fixed[b]
        if len(left) == len(waiting):
            return np.array(settled, dtype=np.int64)
        waiting = left
