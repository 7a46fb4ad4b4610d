"""A network as compiled loops see it: flat tables, capacities where they lie, and which edges there are, as bits.

Every node has at most one *stream* edge into it and one out of it: the residual stream of its position (the
diagonal of a square block), or a link. Streams are kept by node, all other edges by block. A block's edges have
two bits each, one for room left and one for flow, in the row of the query that they enter and in the row of the key
that they leave. A row is pairs of words of 64: of bits for room, and of bits for flow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnflow.maxflow.graph import INFINITE
from attnflow.maxflow.loops import (
    address,
    bit_of,
    entry,
    get,
    get_double,
    get_single,
    inlined,
    lowest,
    put,
)

Ints = NDArray[np.int64]

# Columns of `nodes`: group and position, the nodes before and after it on its stream (-1: none), the layer of the
# stream edge into it, the least and the largest query position of block edges that leave it, and the word of its bit in
# sets of nodes.
GROUP, AT, BEFORE, AFTER, LAYER, NEAREST, FURTHEST, WORD = range(8)
# Columns of `groups`: the first node, their number, the first word of their bits, ranges of `ways` for blocks that
# leave it and that enter it, and 1 if links do.
START, COUNT, WORDS, OUT, OUT_END, IN, IN_END, LINKED = range(8)
# Columns of `ways`, one row for a block as seen from either end: group at the other end, its first node, their number
# and the first word of their bits; first word of the block's rows by query and by key, and pairs of words in them;
# first edge, keys, layer, and 1 if its diagonal are streams.
OTHER, FIRST, NUMBER, BITS, BY_QUERY, BY_KEY, KEY_WORDS, QUERY_WORDS, BASE, KEYS, OF_LAYER, STREAMED = range(
    12
)


# Entries of `Net.table`: addresses, and how many groups, nodes and words there are.
CAPACITY, NARROW, SCALE, GROUPS, NODES, WAYS, ALONG, THERE, FIRSTS, GROUP_COUNT, NODE_COUNT, WORD_COUNT = (
    range(12)
)


class Net(NamedTuple):
    """What the kernels see of a network.

    Attributes:
        table: `[12]`, addresses of the arrays below; see `Net.of`.
        place: address of the table: loops are given this.
        capacity: float64 `[block edges]`, per block `[queries, keys]`, flat; empty if `narrow` is not.
        narrow: float32 capacities in their place, so that they need not be copied; one compiled loop reads either.
        scale: `[1]`; capacities times this are integer units.
        groups: `[groups * 8]`.
        nodes: `[nodes * 8]`.
        ways: `[twice the blocks * 16]`.
        along: `[nodes]`, units of the stream edge into each node.
        bits: words: the edges there are.
        words: `[words]`, the node of each word's lowest bit in sets of nodes; every group begins with a new word.
    """

    table: Ints
    place: int
    capacity: NDArray[np.float64]
    narrow: NDArray[np.float32]
    scale: NDArray[np.float64]
    groups: Ints
    nodes: Ints
    ways: Ints
    along: Ints
    bits: Ints
    words: Ints

    @classmethod
    def of(cls, *arrays: NDArray[Any]) -> Net:
        """A net of all arrays from `capacity` on, in their order."""
        table = np.zeros(12, dtype=np.int64)
        found = cls(table, address(table), *arrays)
        counts = (len(found.groups) // 8, len(found.along), len(found.words))
        found.table[:] = [*(address(array) for array in arrays), *counts]
        if not len(found.narrow):
            found.table[NARROW] = 0
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has arrays of its own, and their addresses."""
        return Net.of, tuple(self[2:])

    @property
    def given(self) -> NDArray[Any]:
        """The capacities of block edges, of either type."""
        return self.narrow if self.narrow.size else self.capacity


def as_mask(net: Net, bits: Ints) -> NDArray[np.bool_]:
    """Words of bits as a mask of nodes."""
    return holds(net, bits, np.arange(len(net.along)))


def holds(net: Net, bits: Ints, nodes: Ints) -> NDArray[np.bool_]:
    """Which of these nodes are in a set, given as words of bits."""
    table = net.nodes.reshape(-1, 8)[nodes]
    return (bits[table[:, WORD]] >> (table[:, AT] & 63) & 1).astype(bool)


@inlined
def has(table, start, nodes, node):
    """True if the set of nodes whose words begin at `start` holds the node."""
    return (get(table, start + get(nodes, 8 * node + WORD)) >> (get(nodes, 8 * node + AT) & 63)) & 1 != 0


@inlined
def remove(table, start, nodes, node):
    """Takes a node out of a set."""
    word = start + get(nodes, 8 * node + WORD)
    put(table, word, get(table, word) & ~bit_of(get(nodes, 8 * node + AT)))


@inlined
def add(table, start, nodes, node):
    """Puts a node into a set."""
    word = start + get(nodes, 8 * node + WORD)
    put(table, word, get(table, word) | bit_of(get(nodes, 8 * node + AT)))


@inlined
def units_of(capacity, narrow, edge, scale):
    """A block edge's capacity in integer units: rounded to the nearest, a non-zero one to one unit at least."""
    amount = np.float64(get_single(narrow, edge)) if narrow != 0 else get_double(capacity, edge)
    if amount == np.inf:
        return INFINITE
    units = np.int64(np.rint(amount * scale))
    if units == 0 and amount > 0:
        return 1
    return units


def towards(net: Net, targets: Ints, infinite: bool) -> Ints:
    """Returns the set of nodes, as words of bits, from which edges, or infinite edges, lead to one of `targets`."""
    unseen = np.full(len(net.words), -1)
    _towards(net.place, targets, infinite, unseen, np.empty(len(net.along), dtype=np.int64))
    return ~unseen


@entry
def _towards(net, targets, infinite, unseen, queue):
    groups, nodes, ways, bits = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, THERE)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    along, least = get(net, ALONG), INFINITE if infinite else 1
    head, tail = 0, 0
    for i in range(targets.size):
        put(queue, tail, get(targets, i))
        remove(unseen, 0, nodes, get(targets, i))
        tail += 1
    while head < tail:
        node = get(queue, head)
        head += 1
        g, at = get(nodes, 8 * node + GROUP), get(nodes, 8 * node + AT)
        other = get(nodes, 8 * node + BEFORE)
        if other >= 0 and has(unseen, 0, nodes, other) and get(along, node) >= least:
            remove(unseen, 0, nodes, other)
            put(queue, tail, other)
            tail += 1
        for way in range(get(groups, 8 * g + IN), get(groups, 8 * g + IN_END)):
            row = 16 * way
            edge = get(ways, row + BASE) + at * get(ways, row + KEYS)
            here = get(ways, row + BY_QUERY) + 2 * at * get(ways, row + KEY_WORDS)
            for w in range(get(ways, row + KEY_WORDS)):
                new = get(bits, here + 2 * w) & get(unseen, get(ways, row + BITS) + w)
                while new != 0:
                    k = (w << 6) + lowest(new)
                    new &= new - 1
                    if not infinite or units_of(capacity, narrow, edge + k, scale) == INFINITE:
                        other = get(ways, row + FIRST) + k
                        remove(unseen, 0, nodes, other)
                        put(queue, tail, other)
                        tail += 1


def leaving(net: Net) -> Ints:
    """Returns what leaves each node over edges of blocks in units, INFINITE if any of them is infinite."""
    total = np.zeros(len(net.along), dtype=np.int64)
    _leaving(net.place, total)
    return total


@entry
def _leaving(net, total):
    groups, ways = get(net, GROUPS), get(net, WAYS)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    for g in range(get(net, GROUP_COUNT)):
        for way in range(get(groups, 8 * g + IN), get(groups, 8 * g + IN_END)):
            row = 16 * way
            first, streamed, keys = get(ways, row + FIRST), get(ways, row + STREAMED), get(ways, row + KEYS)
            for q in range(get(groups, 8 * g + COUNT)):
                edge = get(ways, row + BASE) + q * keys
                for k in range(keys):
                    if streamed == 0 or k != q:
                        units = units_of(capacity, narrow, edge + k, scale)
                        put(total, first + k, min(get(total, first + k), INFINITE - units) + units)
