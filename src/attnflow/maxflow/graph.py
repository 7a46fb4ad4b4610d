"""A flow network lowered to integers: flat arrays that compiled loops can walk.

Adjacency is implicit. A dense block stores its capacities with the key as the row, so that the edges that
leave a node are contiguous: edge `base + key * cols + query`. A link stores one capacity per edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork

Ints = NDArray[np.int64]

DENSE, LINK = 0, 1

#: Units that stand for an infinite capacity. Finite totals stay below half of it.
INFINITE = 1 << 62
#: Largest finite total, in units: a node's capacities, or any v(N).
LARGEST = 1 << 61


class Arrays(NamedTuple):
    """What the kernels see of a network, capacities apart.

    Attributes:
        start: `[groups + 1]`, first node of each group.
        group: `[nodes]`, group of each node.
        source: `[edge sets]`, group that a block or link leaves.
        target: group it enters.
        kind: DENSE or LINK.
        base: index of its first edge.
        cols: queries of a dense block.
        first: first source position of a link.
        shift: positions a link moves on.
        size: edges of a link; keys of a dense block.
        layer: 1-based layer index, or 0.
        out_start: `[groups + 1]`, into `out_set`.
        out_set: blocks and links that leave each group.
        in_start: `[groups + 1]`, into `in_set`.
        in_set: blocks and links that enter each group.
    """

    start: Ints
    group: Ints
    source: Ints
    target: Ints
    kind: Ints
    base: Ints
    cols: Ints
    first: Ints
    shift: Ints
    size: Ints
    layer: Ints
    out_start: Ints
    out_set: Ints
    in_start: Ints
    in_set: Ints


@dataclass(frozen=True, eq=False)
class Graph:
    """A network in integer units.

    Attributes:
        arrays: its structure.
        capacity: int64 `[edges]`, in units of `2 ** -exponent`; INFINITE for infinite edges.
        exponent: capacities were multiplied by `2 ** exponent` and rounded.
        rounding: largest distance, in units, of any finite capacity from its rounded value.
        own_edges: int64 `[positions of the last group]`, the first-layer edge of each position's own
            column, or None; its capacity is replaced when the position is a target.
        own_units: int64, the capacities that replace them.
    """

    arrays: Arrays
    capacity: Ints
    exponent: int
    rounding: float
    own_edges: Ints | None
    own_units: Ints | None

    @property
    def error_bound(self) -> float:
        """Largest error of any maximum flow value: every edge of a cut off by the worst rounding."""
        return math.ldexp(self.rounding * self.capacity.size, -self.exponent)

    def node(self, group: int, position: int) -> int:
        """Index of a node."""
        return int(self.arrays.start[group]) + position

    def capacity_for(self, positions: tuple[int, ...]) -> Ints:
        """Capacities with the own columns of these target positions as the open residual defines them."""
        if self.own_edges is None or self.own_units is None:
            return self.capacity
        capacity = self.capacity.copy()
        chosen = list(positions)
        capacity[self.own_edges[chosen]] = self.own_units[chosen]
        return capacity

    def value(self, units: Any) -> Any:
        """Turns integer units into capacities' own units (float64)."""
        return np.ldexp(np.asarray(units, dtype=np.float64), -self.exponent)


def lower(network: FlowNetwork) -> Graph:
    """Rounds a network's capacities to integers at the largest power of two that cannot overflow."""
    from attnflow.network import Block

    exponent = _exponent(network)
    start = np.concatenate([[0], np.cumsum([group.size for group in network.groups])]).astype(np.int64)
    rows: list[tuple[int, ...]] = []
    parts: list[Ints] = []
    base, rounding = 0, 0.0
    for edges in network.edges:
        if isinstance(edges, Block):
            queries, keys = edges.capacity.shape
            rows.append((edges.source, edges.target, DENSE, base, queries, 0, 0, keys, edges.layer))
            matrix = np.ascontiguousarray(edges.capacity.T, dtype=np.float64)
        else:
            count = edges.capacity.size
            rows.append(
                (edges.source, edges.target, LINK, base, 1, edges.first, edges.shift, count, edges.layer)
            )
            matrix = np.asarray(edges.capacity, dtype=np.float64)
        units, worst = to_units(matrix, exponent)
        rounding = max(rounding, worst)
        parts.append(units.ravel())
        base += units.size
    columns = np.array(rows, dtype=np.int64).T
    source, target = columns[0], columns[1]
    out_start, out_set = _by_group(source, len(network.groups))
    in_start, in_set = _by_group(target, len(network.groups))
    kind, base_of, cols, first, shift, size, layer = (np.ascontiguousarray(column) for column in columns[2:])
    arrays = Arrays(
        start=start,
        group=np.repeat(np.arange(len(network.groups)), np.diff(start)).astype(np.int64),
        source=np.ascontiguousarray(source),
        target=np.ascontiguousarray(target),
        kind=kind,
        base=base_of,
        cols=cols,
        first=first,
        shift=shift,
        size=size,
        layer=layer,
        out_start=out_start,
        out_set=out_set,
        in_start=in_start,
        in_set=in_set,
    )
    own_edges = own_units = None
    if network.own is not None:
        inputs = network.input_group(network.groups[-1].stack)
        index = int(np.flatnonzero((source == inputs) & (kind == DENSE))[0])
        own_edges = (base_of[index] + np.arange(network.size) * (cols[index] + 1)).astype(np.int64)
        own_units, worst = to_units(network.own, exponent)
        rounding = max(rounding, worst)
    return Graph(arrays, np.concatenate(parts), exponent, rounding, own_edges, own_units)


def to_units(capacity: NDArray[Any], exponent: int) -> tuple[Ints, float]:
    """Rounds capacities to units; a non-zero one that would round to 0 becomes one unit.

    Returns:
        The units, and the largest rounding error of a finite capacity in units.
    """
    infinite = np.isinf(capacity)
    scaled = np.ldexp(np.where(infinite, 0.0, capacity), exponent)
    units = np.rint(scaled)
    units[(units == 0) & (capacity > 0) & ~infinite] = 1  # even if `scaled` underflows
    worst = float(np.abs(units - scaled).max(initial=0.0))
    rounded = units.astype(np.int64)
    rounded[infinite] = INFINITE
    return rounded, worst


def _by_group(groups: Ints, count: int) -> tuple[Ints, Ints]:
    order = np.argsort(groups, kind="stable").astype(np.int64)
    start = np.searchsorted(groups[order], np.arange(count + 1)).astype(np.int64)
    return start, order


def _exponent(network: FlowNetwork) -> int:
    """The largest s such that no node's total and no v(N) reaches LARGEST units of 2^-s."""
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
    for edges in network.edges:
        edge_count += edges.capacity.size
        infinite = np.isinf(edges.capacity)
        finite = np.where(infinite, 0.0, edges.capacity).astype(np.float64)
        everything += float(finite.sum())
        if isinstance(edges, Block):
            leaving[edges.source] += finite.sum(axis=0)
            entering[edges.target] += finite.sum(axis=1)
            reach[edges.target] += finite.sum(axis=1)
            if infinite.any():
                reach[edges.target] += np.where(infinite, reach[edges.source], 0.0).sum(axis=1)
        else:
            sources = slice(edges.first, edges.first + edges.capacity.size)
            targets = slice(edges.first + edges.shift, edges.first + edges.shift + edges.capacity.size)
            leaving[edges.source][sources] += finite
            entering[edges.target][targets] += finite
            if network.groups[edges.target].layer > 0:  # closure edges feed inputs, which hold any amount
                reach[edges.target][targets] += np.where(infinite, reach[edges.source][sources], finite)
    largest = max(float(total.max()) for total in (*leaving, *entering))
    # v(N) of every single target or set is at most what can reach the last group in all, and never
    # more than all finite capacity there is.
    largest = max(largest, float(np.minimum(reach[-1], everything).sum()))
    if network.own is not None:
        largest = max(largest, float(network.own.max()))
    if not math.isfinite(largest):
        raise NetworkError(
            "The finite capacities of a node, or all together, exceed the largest float64: divide them by a constant."
        )
    if largest <= 0:
        return 0
    # Rounding may add half a unit (a whole one for tiny capacities) per edge of a node; leave room for it.
    mantissa, power = math.frexp(largest)
    exponent = 61 - power if mantissa <= 0.5 else 60 - power
    while math.ldexp(largest, exponent) + edge_count >= LARGEST:
        exponent -= 1
    return max(-1000, min(1000, exponent))
