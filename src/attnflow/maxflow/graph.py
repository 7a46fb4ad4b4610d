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
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError

if TYPE_CHECKING:
    from attnflow.maxflow.net import Net
    from attnflow.network import Block, FlowNetwork, Link

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

#: Units that stand for an infinite capacity. Finite totals stay below half of it.
INFINITE = 1 << 62
#: Largest finite total, in units: a node's capacities, or any v(N).
LARGEST = 1 << 61
#: Rows that are transposed at a time: of very many, as wide as a power of two, the columns are in each other's way.
STRIP = 256


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
        links: float64, capacities of links' edges, whose numbers follow those of the blocks'.
        streams: int64 `[nodes]`, number of the stream edge into each node, or -1.
        own_nodes: int64 `[positions of the last group]`, the node that each position's own edge into the first layer
            enters, or None; its capacity is replaced when the position is a target.
        own: float64, the capacities that replace them.
        players: int64 `[players]`, the input node of each.
    """

    net: Net
    start: Ints
    base: Ints
    size: int
    exponent: int
    rounding: float
    links: Floats
    streams: Ints
    own_nodes: Ints | None
    own: NDArray[np.float64] | None
    players: Ints

    @cached_property
    def reach(self) -> tuple[Ints, Ints]:
        """Least and largest position that flow from each input position can get to, `[layers + 1, positions]`.

        For one stack of layers. The least is a bound; the largest is one where, as in attention, whoever comes later
        is read by no fewer.
        """
        from attnflow.maxflow.net import FURTHEST, NEAREST

        groups = len(self.start) - 1
        nodes = self.net.nodes.reshape(groups, -1, 8)
        least, most = np.empty(nodes.shape[:2], dtype=np.int64), np.empty(nodes.shape[:2], dtype=np.int64)
        least[0] = most[0] = np.arange(nodes.shape[1])
        for g in range(groups - 1):
            onwards = np.minimum.accumulate(nodes[g, ::-1, NEAREST])[::-1]
            least[g + 1] = np.minimum(least[g], onwards[least[g]])
            most[g + 1] = np.maximum(most[g], nodes[g, most[g], FURTHEST])
        return least, most

    @cached_property
    def leaving(self) -> Ints:
        """What leaves each node over edges of blocks, in units; INFINITE if any of them is infinite."""
        from attnflow.maxflow.net import leaving

        return leaving(self.net)

    @cached_property
    def infinite(self) -> bool:
        """True if any edge of a block is infinite."""
        return bool(np.isinf(self.net.given.max(initial=0.0)))

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
        if self.own_nodes is None or self.own is None:
            return self.net
        along = self.net.along.copy()
        chosen = list(positions)
        along[self.own_nodes[chosen]] = to_units(self.own[chosen], self.exponent)
        return self.net.of(*self.net._replace(along=along)[2:])

    def units_for(self, positions: tuple[int, ...]) -> Ints:
        """Capacity of every edge in units, INFINITE for infinite ones, for these target positions."""
        net = self.net_for(positions)
        units = np.concatenate([to_units(net.given, self.exponent), to_units(self.links, self.exponent)])
        nodes = np.flatnonzero(self.streams >= 0)
        units[self.streams[nodes]] = net.along[nodes]
        return units

    def ends(self, network: FlowNetwork) -> tuple[Ints, Ints]:
        """The node that each edge leaves, and the one it enters."""
        tails, heads = np.zeros(self.size, dtype=np.int64), np.zeros(self.size, dtype=np.int64)
        for base, edges in zip(self.base.tolist(), network.edges):
            place = slice(base, base + edges.capacity.size)
            shape = edges.capacity.shape
            tails[place] = np.broadcast_to(self.start[edges.source] + edges.tails, shape).ravel()
            heads[place] = np.broadcast_to(self.start[edges.target] + edges.heads, shape).ravel()
        return tails, heads

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
    """Lays a network out for compiled loops, at the largest power of two that cannot overflow.

    Raises:
        NetworkError: two links enter or leave a node.
    """
    from attnflow.maxflow.net import AFTER, AT, BEFORE, FURTHEST, GROUP, NEAREST, WORD, Net
    from attnflow.network import Block

    exponent, smallest = _exponent(network)
    sizes = np.array([group.size for group in network.groups], dtype=np.int64)
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    word = np.concatenate([[0], np.cumsum(_words(sizes))]).astype(np.int64)
    blocks = [edges for edges in network.edges if isinstance(edges, Block)]
    links = [edges for edges in network.edges if not isinstance(edges, Block)]
    dense = sum(block.capacity.size for block in blocks)
    sizes_of = [edges.capacity.size for edges in network.edges]
    base = np.zeros(len(network.edges), dtype=np.int64)
    for chosen, first in ((True, 0), (False, dense)):
        of_kind = [b for b, edges in enumerate(network.edges) if isinstance(edges, Block) == chosen]
        base[of_kind] = first + np.cumsum([0, *(sizes_of[b] for b in of_kind)])[:-1]
    nodes = np.zeros((int(start[-1]), 8), dtype=np.int64)
    nodes[:, GROUP] = np.repeat(np.arange(len(sizes)), sizes)
    nodes[:, AT] = np.arange(start[-1]) - np.repeat(start[:-1], sizes)
    nodes[:, [BEFORE, AFTER, FURTHEST]] = -1
    nodes[:, NEAREST] = start[-1]
    nodes[:, WORD] = np.repeat(word[:-1], sizes) + nodes[:, AT] // 64
    along, streams, streamed = _streams(network, base, start, nodes, exponent)
    bits, count, ends = [np.zeros(0, dtype=np.int64)], 0, []
    for b, edges in enumerate(network.edges):
        if isinstance(edges, Block):
            queries, keys = edges.capacity.shape
            leaving = nodes[start[edges.source] : start[edges.source] + keys]
            by_query, by_key = _pairs_of_words(edges.capacity > 0, b in streamed, leaving)
            words = count, count + by_query.size, _words(keys), _words(queries)
            block = base[b], keys, edges.layer, b in streamed
            for out, here, there in ((0, edges.source, edges.target), (1, edges.target, edges.source)):
                ends.append((here, out, (there, start[there], sizes[there], word[there], *words, *block)))
            bits += [by_query, by_key]
            count += by_query.size + by_key.size
    ends.sort(key=lambda end: end[:2])
    ways = np.zeros((len(ends), 16), dtype=np.int64)
    ways[:, :12] = np.array([end[2] for end in ends], dtype=np.int64).reshape(len(ends), 12)
    keys_of = [2 * end[0] + end[1] for end in ends]
    edge = np.searchsorted(keys_of, np.arange(2 * len(sizes) + 1))
    linked = np.isin(np.arange(len(sizes)), [(link.source, link.target) for link in links])
    wide_capacity, narrow = _either(_flat([block.capacity for block in blocks]))
    net = Net.of(
        wide_capacity,
        narrow,
        np.array([2.0**exponent]),
        np.stack(
            [start[:-1], sizes, word[:-1], edge[:-2:2], edge[1:-1:2], edge[1:-1:2], edge[2::2], linked],
            axis=1,
        )
        .astype(np.int64)
        .ravel(),
        nodes.ravel(),
        ways.ravel(),
        along,
        np.concatenate(bits),
        np.concatenate([first + 64 * np.arange(_words(size)) for first, size in zip(start, sizes)]),
    )
    own_nodes = None
    if network.own is not None:
        inputs = start[network.input_group(network.groups[-1].stack)]
        own_nodes = nodes[inputs + np.arange(network.size), AFTER]
    return Graph(
        net=net,
        start=start,
        base=base,
        size=sum(sizes_of),
        exponent=exponent,
        rounding=0.5 if math.ldexp(smallest, exponent) >= 0.5 else 1.0,
        links=np.concatenate([np.zeros(0), *(link.capacity for link in links)]).astype(np.float64),
        streams=streams,
        own_nodes=own_nodes,
        own=network.own,
        players=_inputs(network, start),
    )


def _inputs(network: FlowNetwork, start: Ints) -> Ints:
    """The input node of each player."""
    ends = [player.nodes[0] for player in network.players]
    first = {stack: int(start[network.input_group(stack)]) for stack in {stack for stack, _ in ends}}
    return np.array([first[stack] + position for stack, position in ends], dtype=np.int64)


def _pairs_of_words(there: NDArray[np.bool_], streamed: bool, leaving: Ints) -> tuple[Ints, Ints]:
    """A block's edges as bits, and how far those of each node that they leave get.

    Args:
        there: `[queries, keys]`, which edges there are.
        streamed: True if the diagonal is of streams, which have no bits.
        leaving: `[keys, 8]`, rows of `Net.nodes`, whose NEAREST and FURTHEST are widened.

    Returns:
        Pairs of words, of bits for room and of none for flow, of every query and of every key.
    """
    from attnflow.maxflow.net import FURTHEST, NEAREST

    if streamed:
        np.fill_diagonal(there, False)
    by_key = np.empty(there.shape[::-1], dtype=np.bool_)
    for first in range(0, len(there), STRIP):
        by_key[:, first : first + STRIP] = there[first : first + STRIP].T
    nearest, furthest = by_key.argmax(axis=1), len(there) - 1 - by_key[:, ::-1].argmax(axis=1)
    some = by_key[np.arange(len(by_key)), nearest]
    leaving[some, NEAREST] = np.minimum(leaving[some, NEAREST], nearest[some])
    leaving[some, FURTHEST] = np.maximum(leaving[some, FURTHEST], furthest[some])
    rows = []
    for mask in (there, by_key):
        packed = np.packbits(mask, axis=1, bitorder="little")
        words = np.zeros((len(mask), _words(mask.shape[1])), dtype="<i8")
        words.view(np.uint8)[:, : packed.shape[1]] = packed
        rows.append(np.stack([words, np.zeros_like(words)], axis=2).ravel())
    return rows[0], rows[1]


def _words(size: Any) -> Any:
    """Words of 64 bits for one bit each."""
    return (size + 63) // 64


def _streams(
    network: FlowNetwork, base: Ints, start: Ints, nodes: Ints, exponent: int
) -> tuple[Ints, Ints, set[int]]:
    """Fills the columns of `nodes` for streams: links, and where there is none the first square block that fits.

    Returns:
        Units of the stream edge into each node, its number or -1, and the numbers of blocks whose diagonals are
        streams.
    """
    from attnflow.maxflow.net import AFTER, BEFORE, LAYER

    capacity = np.zeros(len(nodes))
    streams = np.full(len(nodes), -1, dtype=np.int64)
    streamed = set()
    for b in sorted(range(len(network.edges)), key=lambda b: network.edges[b].capacity.ndim):
        edges = network.edges[b]
        dense = edges.capacity.ndim == 2
        if dense and edges.capacity.shape[0] != edges.capacity.shape[1]:
            continue
        count = len(edges.capacity)
        tail = int(start[edges.source]) + int(edges.tails.flat[0] if count else 0)
        head = int(start[edges.target]) + int(edges.heads.flat[0] if count else 0)
        tails, heads = slice(tail, tail + count), slice(head, head + count)
        if (nodes[heads, BEFORE] >= 0).any() or (nodes[tails, AFTER] >= 0).any():
            if dense:
                continue
            raise NetworkError(
                f"Two links enter group {edges.target} or leave group {edges.source} at one position: expected one at "
                "most; make a Block of the other."
            )
        if dense:
            streamed.add(b)
        nodes[heads, BEFORE] = np.arange(tail, tail + count)
        nodes[tails, AFTER] = np.arange(head, head + count)
        nodes[heads, LAYER] = edges.layer
        streams[heads] = base[b] + np.arange(count) * (count + 1 if dense else 1)
        capacity[heads] = edges.capacity.diagonal() if dense else edges.capacity
    return to_units(capacity, exponent), streams, streamed


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

    Both are read-only views: nobody writes to a caller's array.
    """
    wide: NDArray[np.float64] = np.zeros(0)
    narrow: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
    if capacity.dtype == np.float32:
        narrow = capacity.view()
    else:
        wide = capacity.astype(np.float64, copy=False).view()
    wide.flags.writeable = narrow.flags.writeable = False
    return wide, narrow


def _exponent(network: FlowNetwork) -> tuple[int, float]:
    """The largest s such that no node's total and no v(N) reaches LARGEST units of 2^-s.

    Also returns the smallest capacity that is not 0.
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
        return 0, smallest
    # Rounding may add half a unit (a whole one for tiny capacities) per edge of a node; leave room for it.
    mantissa, power = math.frexp(largest)
    exponent = 61 - power if mantissa <= 0.5 else 60 - power
    while math.ldexp(largest, exponent) + edge_count >= LARGEST:
        exponent -= 1
    return max(-1000, min(1000, exponent)), smallest


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
