"""A flow network as compiled loops walk it: capacities where they lie, and the integers they stand for.

A dense block keeps its capacities `[queries, keys]`, flat: edge `base + query * keys + key`. Where the
blocks of a network follow each other in memory, as the layers of one array do, nothing is copied. Capacities
become integers when they are looked at: multiplied by the largest power of two at which no total overflows,
and rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError

if TYPE_CHECKING:
    from attnflow.maxflow.kernels import Net
    from attnflow.network import Block, FlowNetwork, Link

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

DENSE, LINK = 0, 1

#: Units that stand for an infinite capacity. Finite totals stay below half of it.
INFINITE = 1 << 62
#: Largest finite total, in units: a node's capacities, or any v(N).
LARGEST = 1 << 61


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as compiled loops walk it.

    Attributes:
        net: its structure and capacities.
        start: int64 `[groups + 1]`, first node of each group.
        base: int64 `[blocks and links]`, number of the first edge of each.
        size: number of edges.
        exponent: capacities are multiplied by `2 ** exponent` and rounded.
        rounding: largest distance, in units, of any finite capacity from its rounded value.
        own_edges: int64 `[positions of the last group]`, the first-layer edge of each position's own
            column, or None; its capacity is replaced when the position is a target.
        own: float64, the capacities that replace them.
    """

    net: Net
    start: Ints
    base: Ints
    size: int
    exponent: int
    rounding: float
    own_edges: Ints | None
    own: NDArray[np.float64] | None

    @property
    def error_bound(self) -> float:
        """Largest error of any maximum flow value: every edge of a cut off by the worst rounding."""
        return math.ldexp(self.rounding * self.size, -self.exponent)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(self.start[-1])

    def node(self, group: int, position: int) -> int:
        """Index of a node."""
        return int(self.start[group]) + position

    def net_for(self, positions: tuple[int, ...]) -> Net:
        """The net with the own columns of these target positions as the open residual defines them."""
        if self.own_edges is None or self.own is None:
            return self.net
        capacity = self.net.given.copy()
        chosen = list(positions)
        capacity[self.own_edges[chosen]] = self.own[chosen]
        wide, narrow = _either(capacity)
        return self.net._replace(capacity=wide, narrow=narrow)

    def units_for(self, positions: tuple[int, ...]) -> Ints:
        """Capacity of every edge in units, INFINITE for infinite ones, for these target positions."""
        net = self.net_for(positions)
        return np.concatenate(
            [to_units(net.given, self.exponent), to_units(net.link_capacity, self.exponent)]
        )

    def ends(self) -> tuple[Ints, Ints]:
        """The node that each edge leaves, and the one it enters."""
        tails, heads = (
            [np.zeros(0, dtype=np.int64)] * len(self.base),
            [np.zeros(0, dtype=np.int64)] * len(self.base),
        )
        for b, (source, target, kind, _, keys, first, shift, size, _) in enumerate(self.net.sets.tolist()):
            leave, enter = int(self.start[source]), int(self.start[target])
            if kind == DENSE:
                tails[b] = np.tile(np.arange(leave, leave + keys), size)
                heads[b] = np.repeat(np.arange(enter, enter + size), keys)
            else:
                tails[b] = np.arange(leave + first, leave + first + size)
                heads[b] = np.arange(enter + first + shift, enter + first + shift + size)
        order = np.argsort(self.base, kind="stable")
        return np.concatenate([tails[b] for b in order]), np.concatenate([heads[b] for b in order])

    def split(self, network: FlowNetwork, flat: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Cuts an array over edges into one per block and link, blocks as `[queries, keys]`."""
        return tuple(
            flat[base : base + edges.capacity.size].reshape(edges.capacity.shape)
            for base, edges in zip(self.base.tolist(), network.edges)
        )

    def value(self, units: Any) -> Any:
        """Turns integer units into capacities' own units (float64)."""
        return np.ldexp(np.asarray(units, dtype=np.float64), -self.exponent)


def lower(network: FlowNetwork) -> Graph:
    """Lays a network out for compiled loops, at the largest power of two that cannot overflow."""
    from attnflow.maxflow.kernels import Net, spans
    from attnflow.network import Block

    exponent, smallest, leaving = _exponent(network)
    start = np.concatenate([[0], np.cumsum([group.size for group in network.groups])]).astype(np.int64)
    blocks = [edges for edges in network.edges if isinstance(edges, Block)]
    links = [edges for edges in network.edges if not isinstance(edges, Block)]
    dense = sum(block.capacity.size for block in blocks)
    rows: list[tuple[int, ...]] = []
    block_base, link_base = 0, dense
    for edges in network.edges:
        count = edges.capacity.size
        if isinstance(edges, Block):
            queries, keys = edges.capacity.shape
            rows.append((edges.source, edges.target, DENSE, block_base, keys, 0, 0, queries, edges.layer))
            block_base += count
        else:
            rows.append(
                (edges.source, edges.target, LINK, link_base, 1, edges.first, edges.shift, count, edges.layer)
            )
            link_base += count
    sets = np.array(rows, dtype=np.int64).reshape(len(rows), 9)
    count = len(network.groups)
    out_start, out_set = _by_group(sets[:, 0], count)
    in_start, in_set = _by_group(sets[:, 1], count)
    wide, narrow = _either(_flat([block.capacity for block in blocks]))
    net = Net(
        capacity=wide,
        narrow=narrow,
        link_capacity=np.concatenate([np.zeros(0), *(link.capacity for link in links)]).astype(np.float64),
        scale=2.0**exponent,
        sets=sets,
        group_of=np.repeat(np.arange(count), np.diff(start)).astype(np.int64),
        start=start[:-1].copy(),
        sizes=np.diff(start),
        out_start=out_start,
        out_set=out_set,
        in_start=in_start,
        in_set=in_set,
        order=np.concatenate([first + np.argsort(-out, kind="stable") for first, out in zip(start, leaving)]),
        nearest=np.zeros(start[-1], dtype=np.int64),
        furthest=np.zeros(start[-1], dtype=np.int64),
        last=np.zeros(start[-1], dtype=np.int64),
    )
    spans(net)
    own_edges = None
    if network.own is not None:
        own_edges = _own_edges(network, sets)
    return Graph(
        net=net,
        start=start,
        base=np.ascontiguousarray(sets[:, 3]),
        size=int(link_base),
        exponent=exponent,
        rounding=0.5 if math.ldexp(smallest, exponent) >= 0.5 else 1.0,
        own_edges=own_edges,
        own=network.own,
    )


def to_units(capacity: Floats, exponent: int) -> Ints:
    """Rounds capacities to units; a non-zero one that would round to 0 becomes one unit."""
    infinite = np.isinf(capacity)
    units = np.rint(np.ldexp(np.where(infinite, 0.0, capacity).astype(np.float64), exponent))
    units[(units == 0) & (capacity > 0) & ~infinite] = 1
    rounded = units.astype(np.int64)
    rounded[infinite] = INFINITE
    return rounded


def _flat(matrices: Sequence[Floats]) -> Floats:
    """All matrices one after the other, without a copy if they already lie so in memory."""
    if not matrices:
        return np.zeros(0)
    first = matrices[0]
    place = first.__array_interface__["data"][0]
    whole = True
    for matrix in matrices:
        here = matrix.__array_interface__["data"][0]
        whole = whole and matrix.flags.c_contiguous and matrix.dtype == first.dtype and here == place
        place = here + matrix.nbytes
    if whole and first.base is not None:
        total = sum(matrix.size for matrix in matrices)
        return np.lib.stride_tricks.as_strided(first, (total,), (first.itemsize,), writeable=False)
    if len(matrices) == 1 and whole:
        return first.reshape(-1)
    kind = np.float32 if all(matrix.dtype == np.float32 for matrix in matrices) else np.float64
    return np.concatenate([np.asarray(matrix, dtype=kind).ravel() for matrix in matrices])


def _either(capacity: Floats) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """`Net.capacity` and `Net.narrow` for capacities of either type: the other one is empty.

    Both are read-only views, for compiled loops exist once for each kind of array.
    """
    wide: NDArray[np.float64] = np.zeros(0)
    narrow: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
    if capacity.dtype == np.float32:
        narrow = capacity.view()
    else:
        wide = capacity.astype(np.float64, copy=False).view()
    wide.flags.writeable = narrow.flags.writeable = False
    return wide, narrow


def _own_edges(network: FlowNetwork, sets: Ints) -> Ints:
    inputs = network.input_group(network.groups[-1].stack)
    index = int(np.flatnonzero((sets[:, 0] == inputs) & (sets[:, 2] == DENSE))[0])
    found: Ints = sets[index, 3] + np.arange(network.size) * (sets[index, 4] + 1)
    return found


def _by_group(groups: Ints, count: int) -> tuple[Ints, Ints]:
    order = np.argsort(groups, kind="stable").astype(np.int64)
    start = np.searchsorted(groups[order], np.arange(count + 1)).astype(np.int64)
    return start, order


def _exponent(network: FlowNetwork) -> tuple[int, float, list[NDArray[np.float64]]]:
    """The largest s such that no node's total and no v(N) reaches LARGEST units of 2^-s.

    Also returns the smallest capacity that is not 0, and per group what leaves each node.
    """
    from attnflow.network import Block

    sizes = [group.size for group in network.groups]
    leaving = [np.zeros(size) for size in sizes]
    entering = [np.zeros(size) for size in sizes]
    # reach[group][position] bounds what can arrive there; inputs hold any amount, but in a target's own
    # column no more than its own edge lets out.
    reach = [np.where(group.layer == 0, np.inf, np.zeros(group.size)) for group in network.groups]
    if network.own is not None:
        reach[network.input_group(network.groups[-1].stack)] = network.own.copy()
    everything = 0.0
    edge_count = 0
    smallest = math.inf
    for edges in network.edges:
        edge_count += edges.capacity.size
        into, out, finite, infinite, least = _totals(edges)
        everything += finite
        smallest = min(smallest, least)
        if isinstance(edges, Block):
            leaving[edges.source] += out
            entering[edges.target] += into
            reach[edges.target] += into
            if infinite is not None:
                reach[edges.target] += np.where(infinite, reach[edges.source], 0.0).sum(axis=1)
        else:
            sources = slice(edges.first, edges.first + edges.capacity.size)
            targets = slice(edges.first + edges.shift, edges.first + edges.shift + edges.capacity.size)
            leaving[edges.source][sources] += out
            entering[edges.target][targets] += into
            if network.groups[edges.target].layer > 0:  # closure edges feed inputs, which hold any amount
                passed = into if infinite is None else np.where(infinite, reach[edges.source][sources], into)
                reach[edges.target][targets] += passed
    largest = max(float(total.max()) for total in (*leaving, *entering))
    # v(N) of every single target or set is at most what can reach the last group in all, and never
    # more than all finite capacity there is.
    largest = max(largest, float(np.minimum(reach[-1], everything).sum()))
    if network.own is not None:
        largest = max(largest, float(network.own.max()))
        smallest = min(smallest, float(network.own[network.own > 0].min(initial=np.inf)))
    if not math.isfinite(largest):
        raise NetworkError(
            "The finite capacities of a node, or all together, exceed the largest float64: divide them by a constant."
        )
    if largest <= 0:
        return 0, smallest, leaving
    # Rounding may add half a unit (a whole one for tiny capacities) per edge of a node; leave room for it.
    mantissa, power = math.frexp(largest)
    exponent = 61 - power if mantissa <= 0.5 else 60 - power
    while math.ldexp(largest, exponent) + edge_count >= LARGEST:
        exponent -= 1
    return max(-1000, min(1000, exponent)), smallest, leaving


def _totals(
    edges: Block | Link,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, NDArray[np.bool_] | None, float]:
    """Finite capacity that enters each head, leaves each tail, and in all; infinite edges; the least."""
    from attnflow.network import Block

    capacity = edges.capacity
    infinite: NDArray[np.bool_] | None = None
    if np.isinf(capacity.max(initial=0.0)):
        infinite = np.isinf(capacity)
        capacity = np.where(infinite, 0.0, capacity)
    least = float(np.min(capacity, where=capacity > 0, initial=np.inf))
    if isinstance(edges, Block):
        into, out = capacity.sum(axis=1, dtype=np.float64), capacity.sum(axis=0, dtype=np.float64)
        return into, out, float(into.sum()), infinite, least
    plain = capacity.astype(np.float64)
    return plain, plain, float(plain.sum()), infinite, least
