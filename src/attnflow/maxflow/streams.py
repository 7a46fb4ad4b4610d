"""Compiled loops for one player at a time, where a network is one stack: what players share is worked out once.

Positions are streams through the layers. All players of a target use the same network but for the edges that
leave themselves, so that a *base* flow is laid once: from a spread over all streams early on to the target. Where
it starts it is owed what it sends, and those debts are what a player has to pay. He pays along each stream first,
by a pass over arrays; the rest goes by Dinic's phases through the whole network, whose base flow may be taken
back like any other. When nothing more can be sent, what leaves the nodes that he still reaches is all used and
nothing owed is among them, so that what he sends equals a cut: taking back what is still owed changes nothing
on his side of it. His flow is therefore the maximum flow, and the nodes are the side of his nearest minimum cut.

Where the residual stream is infinite, the target's own stream is the sink, a player's is the source, and a step
along a stream costs no distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from attnflow.maxflow.graph import INFINITE, to_units
from attnflow.maxflow.kernels import FULL, Net, _find, _from, capacity_of, units_of

if TYPE_CHECKING:
    from attnflow.maxflow.solver import Solver

Ints = NDArray[np.int64]

#: Layer from which a base flow starts: so early that most of the way is shared, so late that a player's own
#: stream can be spread before.
BASE_LAYER = 4

#: From so many positions on the first phase takes wide edges only: a row then holds very many tiny weights, and a
#: flow that is gathered from them uses a hundred edges where one would do.
LARGE = 1024
#: A node asks no edge for less than 2^-COARSE of what it wants in such a phase; EVERYTHING: it asks all of them.
COARSE, EVERYTHING = 10, 63

# Columns of `layers`.
ALIVE, LEFT, SEEN, LOW, HIGH = range(5)
# Columns of `nodes`: a cache line each, padded. The first three are set anew by each search.
LABEL, SLOT, ARC, FIRST_IN, FIRST_OUT, LAYER = range(6)
# Columns of `slots`.
NODE, SKIP = range(2)
# Columns of `stack`.
AT, WANT, GOT, EDGE, RECORD = range(5)
# Columns of `records`.
OF, FLOW, TAIL, HEAD, NEXT_IN, NEXT_OUT, HASH = range(7)
# Entries of `meta`.
USED, CLOCK, HINT, BASE_USED, LOW_END, HIGH_END = range(6)
# Values of EDGE for steps that are no dense edge: along a stream, back along it, and back over a written edge.
ALONG, BACK_ALONG, BACK = -1, -2, -3
# Values of ARC before and after the list of slots.
START, FAVOURITE, LIST, REST, LAST, NONE = -1, -2, -3, -4, -5, -6


class Streams(NamedTuple):
    """One stack of layers and one target.

    Attributes:
        net: the network.
        size: positions.
        layers: number of layers.
        base: `[layers + 1]`, first edge of each layer's block, from 1.
        along: `[nodes]`, units of the edge along the stream into each node.
        open: True if all of those are infinite beyond the first layer's.
        sink: position of the target whose stream is the sink, where the residual stream is open; else -1.
        playing: `[nodes + 1]`, the first node that leads to the target from each on.
        start: layer from which the base flow starts; 0 for none.
        deepest: last layer in which something is owed before a player sends, but for the target.
        wide_first: True if the first phase takes wide edges only.
    """

    net: Net
    size: int
    layers: int
    base: Ints
    along: Ints
    open: bool
    sink: int
    playing: Ints
    start: int
    deepest: int
    wide_first: bool


class Desk(NamedTuple):
    """Scratch arrays of one thread.

    Attributes:
        layers: `[layers + 1, 5]`.
        nodes: `[nodes, 8]`.
        slots: `[nodes, 2]`.
        ahead: `[nodes + 1]`, the first node not seen yet from each on, or one nearer to it.
        queue: `[nodes]`.
        sources: `[nodes]`.
        stack: `[nodes + 2, 5]`.
        records: `[most records, 7]`.
        table: `[power of two]`, record numbers plus one by hash of the edge.
        meta: `[6]`.
        supply: `[nodes]`, what the player's own edges bring and has not been sent on.
        debt: `[nodes]`, what is still owed to each node.
        chain: `[nodes]`, flow along the stream into each node.
        base_debt: `[nodes]`, what the base flow is owed, and the target's demands less what it gets.
        base_chain: `[nodes]`, flow of the base along the stream into each node.
        base_flow: `[most records]`, the base's flow of each record.
    """

    layers: Ints
    nodes: Ints
    slots: Ints
    ahead: Ints
    queue: Ints
    sources: Ints
    stack: Ints
    records: Ints
    table: NDArray[np.int32]
    meta: Ints
    supply: Ints
    debt: Ints
    chain: Ints
    base_debt: Ints
    base_chain: Ints
    base_flow: Ints


def find(solver: Solver) -> Streams | None:
    """The streams of a solver's network, or None if it is not one stack of layers and a target that fits."""
    network, graph, net = solver.network, solver.graph, solver._net
    layers, n = len(network.edges), network.size
    if len(network.groups) != layers + 1 or any(group.size != n for group in network.groups):
        return None
    for layer, edges in enumerate(network.edges):
        if edges.capacity.ndim != 2 or (edges.source, edges.target) != (layer, layer + 1):
            return None
    base = np.concatenate([[0], graph.base]).astype(np.int64)
    along = np.zeros((layers + 1, n), dtype=np.int64)
    for layer in range(1, layers + 1):
        block = net.given[base[layer] : base[layer] + n * n].reshape(n, n)
        along[layer] = to_units(block.diagonal(), graph.exponent)
    useful = solver._useful.reshape(layers + 1, n).copy()
    sink = -1
    if network.own is not None:
        if len(solver.positions) > 1 or solver.demands[0] < INFINITE:
            return None
        sink = solver.positions[0]
        streams = along[1:].copy()
        streams[0, sink] = INFINITE
        if (streams < INFINITE).any():
            return None
        useful[1:, sink] = False
    found = np.flatnonzero(useful)
    playing = np.append(found, useful.size)[np.searchsorted(found, np.arange(useful.size + 1))]
    start = 0 if sink >= 0 else min(BASE_LAYER, layers - 1)
    return Streams(
        net=net,
        size=n,
        layers=layers,
        base=base,
        along=along.ravel(),
        open=sink >= 0,
        sink=sink,
        playing=playing,
        start=start,
        deepest=start if start else layers,
        wide_first=sink < 0 and n >= LARGE,
    )


def lay(
    streams: Streams,
    targets: Ints,
    demands: Ints,
    grand: int,
    members: Ints,
    records: int,
    desk: Desk | None = None,
) -> Desk:
    """Scratch arrays with a base flow, larger than asked for where that needs it.

    Args:
        streams: the network.
        targets: target nodes.
        demands: what each can take.
        grand: v(N) in units.
        members: input positions of a player like those who will use the base: it starts where he can send.
        records: number of edges with flow to make place for.
        desk: scratch to lay it in; None for a new one.
    """
    low, high = int(members.min()), int(members.max())
    for layer in range(streams.start):
        low = min(int(streams.net.nearest[layer * streams.size + low]), streams.size - 1)
        high = max(int(streams.net.furthest[layer * streams.size + high]), low)
    if desk is not None and tuple(desk.meta[[LOW_END, HIGH_END]].tolist()) == (low, high):
        return desk
    while True:
        if desk is None:
            desk = _make(streams, records)
        if _lay(streams, desk, targets, demands, low, high, grand):
            return desk
        desk = None
        records *= 4


def _make(streams: Streams, records: int) -> Desk:
    """Allocates scratch arrays for so many edges with flow; no base flow is laid yet."""
    count = streams.along.size
    nodes = np.zeros((count, 8), dtype=np.int64)
    nodes[:, FIRST_IN] = nodes[:, FIRST_OUT] = -1
    nodes[:, LAYER] = np.arange(count) // streams.size
    useful = streams.playing[:-1] == np.arange(count)
    layers = np.zeros((streams.layers + 1, 5), dtype=np.int64)
    layers[:, ALIVE] = useful.reshape(streams.layers + 1, -1).sum(axis=1)
    return Desk(
        layers=layers,
        nodes=nodes,
        slots=np.zeros((count, 2), dtype=np.int64),
        ahead=streams.playing.copy(),
        queue=np.zeros(count, dtype=np.int64),
        sources=np.zeros(count, dtype=np.int64),
        stack=np.zeros((count + 2, 5), dtype=np.int64),
        records=np.zeros((records, 7), dtype=np.int64),
        table=np.zeros(1 << (2 * records - 1).bit_length(), dtype=np.int32),
        meta=np.array([0, 0, -1, 0, -1, -1]),
        supply=np.zeros(count, dtype=np.int64),
        debt=np.zeros(count, dtype=np.int64),
        chain=np.zeros(count, dtype=np.int64),
        base_debt=np.zeros(count, dtype=np.int64),
        base_chain=np.zeros(count, dtype=np.int64),
        base_flow=np.zeros(records, dtype=np.int64),
    )


def _njit(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False)(function)


def _inlined(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False, forceinline=True)(function)


_SPREAD = 0x9E3779B97F4A7C15 - (1 << 64)


@_inlined
def _write(table, records, nodes, meta, edge, tail, head):
    """Starts an edge's record and returns its number; there must be place for it."""
    number = meta[USED]
    meta[USED] = number + 1
    mask = table.size - 1
    place = ((edge * _SPREAD) >> 20) & mask
    while table[place] > 0:
        place = (place + 1) & mask
    table[place] = number + 1
    records[number, OF] = edge
    records[number, FLOW] = 0
    records[number, TAIL] = tail
    records[number, HEAD] = head
    records[number, HASH] = place
    records[number, NEXT_IN] = nodes[head, FIRST_IN]
    nodes[head, FIRST_IN] = number
    records[number, NEXT_OUT] = nodes[tail, FIRST_OUT]
    nodes[tail, FIRST_OUT] = number
    return number


@_njit
def _restore(desk):
    """Back to the base flow."""
    table, records, nodes, meta = desk.table, desk.records, desk.nodes, desk.meta
    for i in range(meta[USED] - 1, meta[BASE_USED] - 1, -1):
        table[records[i, HASH]] = 0
        nodes[records[i, TAIL], FIRST_OUT] = records[i, NEXT_OUT]
        nodes[records[i, HEAD], FIRST_IN] = records[i, NEXT_IN]
    meta[USED] = meta[BASE_USED]
    for i in range(meta[BASE_USED]):
        records[i, FLOW] = desk.base_flow[i]
    desk.supply[:] = 0
    desk.debt[:] = desk.base_debt
    desk.chain[:] = desk.base_chain


@_inlined
def _see(nodes, slots, layers, ahead, queue, n, open_, node, layer, label, tail):
    """Labels a node, lists it and, where the stream is open, all that follows; returns the queue's new end."""
    while True:
        layers[layer, LEFT] -= 1
        layers[layer, HIGH] = label
        if layers[layer, LOW] == 0:
            layers[layer, LOW] = label
        slot = layer * n + layers[layer, SEEN]
        layers[layer, SEEN] += 1
        slots[slot, NODE] = node
        slots[slot, SKIP] = slot
        ahead[node] = node + 1
        nodes[node, SLOT] = slot
        nodes[node, LABEL] = label
        nodes[node, ARC] = START
        queue[tail] = node
        tail += 1
        layer += 1
        if not open_ or layer == layers.shape[0]:
            return tail
        node += n
        if ahead[node] != node:
            return tail


@_njit
def _search(streams, desk, count, members):
    """Labels nodes by their distance from what is left to send, until it meets something owed.

    Returns:
        The label of the nearest node that is owed something, 0 if none is reached, and the end of the queue.
    """
    open_, along, base, playing = streams.open, streams.along, streams.base, streams.playing
    nodes, slots, layers, ahead, queue, records, table = (
        desk.nodes,
        desk.slots,
        desk.layers,
        desk.ahead,
        desk.queue,
        desk.records,
        desk.table,
    )
    supply, debt, chain = desk.supply, desk.debt, desk.chain
    n, last = streams.size, streams.layers
    capacity, narrow, scale = streams.net.capacity, streams.net.narrow, streams.net.scale
    nearest, furthest = streams.net.nearest, streams.net.furthest
    desk.meta[CLOCK] += nodes.shape[0] + 2
    below = desk.meta[CLOCK]
    ahead[:] = playing
    for layer in range(last + 1):
        layers[layer, LEFT] = layers[layer, ALIVE]
        layers[layer, SEEN] = layers[layer, LOW] = layers[layer, HIGH] = 0
    if streams.open:
        for m in members:
            for layer in range(1, last + 1):
                if ahead[layer * n + m] == layer * n + m:
                    ahead[layer * n + m] += 1
                    layers[layer, LEFT] -= 1
    tail = 0
    total = 0.0
    for i in range(count):
        total += supply[desk.sources[i]]
    for i in range(2 * count):  # those with more than the mean first: fewer need to be asked
        node = desk.sources[i % count]
        large = supply[node] * float(count) > total
        if supply[node] > 0 and ahead[node] == node and (large or i >= count):
            tail = _see(
                nodes, slots, layers, ahead, queue, n, open_, node, nodes[node, LAYER], below + 1, tail
            )
    found = 0
    for i in range(tail):
        if debt[queue[i]] > 0:
            return below + 1, tail
    head = 0
    while head < tail:
        node = queue[head]
        head += 1
        label = nodes[node, LABEL] + 1
        if 0 < found < label:
            break
        layer = nodes[node, LAYER]
        at = node - layer * n
        if layer < last and layers[layer + 1, LEFT] > 0:
            first = (layer + 1) * n
            column = base[layer + 1] + at - first * n
            end = first + min(furthest[node] + 1, n)
            other = _from(ahead, first + min(nearest[node], n))
            while other < end:
                edge = column + other * n
                amount = capacity_of(capacity, narrow, edge)
                room = amount > 0
                if room:
                    if other == node + n:
                        room = along[other] > chain[other]
                    elif nodes[other, FIRST_IN] >= 0:
                        r = _find(table, records, edge)
                        room = r < 0 or units_of(amount, scale) > records[r, FLOW]
                if room:
                    start = tail
                    tail = _see(nodes, slots, layers, ahead, queue, n, open_, other, layer + 1, label, tail)
                    for i in range(start, tail):
                        if debt[queue[i]] > 0:
                            found = label
                other = _from(ahead, other + 1)
        if chain[node] > 0 and ahead[node - n] == node - n:
            start = tail
            tail = _see(nodes, slots, layers, ahead, queue, n, open_, node - n, layer - 1, label, tail)
            for i in range(start, tail):
                if debt[queue[i]] > 0:
                    found = label
        if layer > 0 and layers[layer - 1, LEFT] > 0:
            r = nodes[node, FIRST_IN]
            while r >= 0:
                other = records[r, TAIL]
                if records[r, FLOW] > 0 and ahead[other] == other:
                    start = tail
                    tail = _see(nodes, slots, layers, ahead, queue, n, open_, other, layer - 1, label, tail)
                    for i in range(start, tail):
                        if debt[queue[i]] > 0:
                            found = label
                r = records[r, NEXT_IN]
    return found, tail


@_inlined
def _next(slots, i, end):
    """First slot from i on that is worth a look, or end."""
    while i < end and slots[i, SKIP] != i:
        following = slots[i, SKIP]
        if following < end:
            slots[i, SKIP] = slots[following, SKIP]
        i = following
    return min(i, end)


@_inlined
def _first(nodes, slots, low, high, label):
    """First slot from low to high whose label is no less; along a layer's slots labels rise."""
    while low < high:
        middle = (low + high) >> 1
        if nodes[slots[middle, NODE], LABEL] < label:
            low = middle + 1
        else:
            high = middle
    return low


@_njit
def _pull(streams, desk, found, place, limit, fine):
    """Lets nodes that are owed something ask for it along falling labels.

    Args:
        streams, desk: the network and its scratch.
        found: label of the nodes that ask.
        place: end of the queue, where they stand.
        limit: most that is wanted.
        fine: edges with room for no more than 2^-fine of what a node wants are not asked.

    Returns:
        What they got, or FULL if the records did not suffice.
    """
    nodes, slots, layers, stack, records, table, meta, queue = (
        desk.nodes,
        desk.slots,
        desk.layers,
        desk.stack,
        desk.records,
        desk.table,
        desk.meta,
        desk.queue,
    )
    supply, debt, chain = desk.supply, desk.debt, desk.chain
    n, last = streams.size, streams.layers
    capacity, narrow, scale = streams.net.capacity, streams.net.narrow, streams.net.scale
    along, base = streams.along, streams.base
    source = meta[CLOCK] + 1
    hint = meta[HINT]
    step = 0 if streams.open else 1
    total = 0
    depth = -1
    while True:
        if depth < 0:  # the next root
            place -= 1
            if total == limit or place < 0 or nodes[queue[place], LABEL] < found:
                return total
            owed = debt[queue[place]]
            if owed == 0 or nodes[queue[place], LABEL] > found:
                continue
            depth = 0
            stack[0, AT], stack[0, WANT], stack[0, GOT] = queue[place], min(owed, limit - total), 0
        if meta[USED] + 2 > records.shape[0]:
            return FULL
        node = stack[depth, AT]
        want = stack[depth, WANT] - stack[depth, GOT]
        least = want >> fine
        label = nodes[node, LABEL]
        if label == source and want > 0:
            amount = min(want, supply[node])
            supply[node] -= amount
            stack[depth, GOT] += amount
            want -= amount
        if want > 0:
            layer = nodes[node, LAYER]
            other, edge, r, space = -1, 0, -1, 0
            arc = nodes[node, ARC]
            if arc == START:
                other = node - n
                if (
                    layer > 0
                    and nodes[other, LABEL] == label - step
                    and slots[nodes[other, SLOT], SKIP] == nodes[other, SLOT]
                ):
                    space = along[node] - chain[node]
                if space > least:
                    edge = ALONG
                else:
                    other = -1
                    arc = FAVOURITE if label > source else NONE
            if (arc <= FAVOURITE and arc != NONE) or arc >= 0:
                before = (layer - 1) * n
                here = layer > 0 and layers[layer - 1, LOW] <= label - 1 <= layers[layer - 1, HIGH]
                row = base[layer] + (node - layer * n) * n - before if layer > 0 else 0
                written = nodes[node, FIRST_IN] >= 0
                if arc == FAVOURITE:
                    asked = before + hint
                    if (
                        here
                        and hint >= 0
                        and asked != node - n
                        and nodes[asked, LABEL] == label - 1
                        and slots[nodes[asked, SLOT], SKIP] == nodes[asked, SLOT]
                        and capacity_of(capacity, narrow, row + asked) > 0
                    ):
                        space = units_of(capacity_of(capacity, narrow, row + asked), scale)
                        r = _find(table, records, row + asked) if written else -1
                        if r >= 0:
                            space -= records[r, FLOW]
                        if space > least:
                            other, edge = asked, row + asked
                    if other < 0:
                        arc = (
                            _first(nodes, slots, before, before + layers[layer - 1, SEEN], label - 1)
                            if here
                            else REST
                        )
                if arc >= 0 and other < 0:
                    end = before + layers[layer - 1, SEEN]
                    arc = _next(slots, arc, end)
                    while arc < end:
                        asked = slots[arc, NODE]
                        if nodes[asked, LABEL] >= label:
                            arc = end
                            break
                        if asked != node - n:
                            amount = capacity_of(capacity, narrow, row + asked)
                            if amount > 0:
                                space = units_of(amount, scale)
                                r = _find(table, records, row + asked) if written else -1
                                if r >= 0:
                                    space -= records[r, FLOW]
                                if space > least:
                                    other, edge = asked, row + asked
                                    break
                        arc = _next(slots, arc + 1, end)
                    if arc >= end:
                        arc = REST
                if arc == REST and other < 0:
                    asked = node + n
                    if (
                        layer < last
                        and chain[asked] > least
                        and nodes[asked, LABEL] == label - 1
                        and slots[nodes[asked, SLOT], SKIP] == nodes[asked, SLOT]
                    ):
                        other, edge, space = asked, BACK_ALONG, chain[asked]
                    else:
                        arc = LAST
                if arc == LAST and other < 0:
                    r = nodes[node, FIRST_OUT]
                    while r >= 0:
                        asked = records[r, HEAD]
                        if (
                            records[r, FLOW] > least
                            and nodes[asked, LABEL] == label - 1
                            and slots[nodes[asked, SLOT], SKIP] == nodes[asked, SLOT]
                        ):
                            other, edge, space = asked, BACK, records[r, FLOW]
                            break
                        r = records[r, NEXT_OUT]
                    if other < 0:
                        arc = NONE
            nodes[node, ARC] = arc
            if other >= 0:
                amount = min(want, space)
                depth += 1
                stack[depth, AT], stack[depth, WANT], stack[depth, GOT] = other, amount, 0
                stack[depth, EDGE], stack[depth, RECORD] = edge, r
                continue
            slots[nodes[node, SLOT], SKIP] = nodes[node, SLOT] + 1
        got = stack[depth, GOT]
        if depth == 0:
            if debt[node] < INFINITE:
                debt[node] -= got
            total += got
        elif got > 0:
            edge, r = stack[depth, EDGE], stack[depth, RECORD]
            parent = stack[depth - 1, AT]
            if edge == ALONG:
                chain[parent] += got
            elif edge == BACK_ALONG:
                chain[node] -= got
            elif edge == BACK:
                records[r, FLOW] -= got
            else:
                if r < 0:
                    r = _write(table, records, nodes, meta, edge, node, parent)
                records[r, FLOW] += got
            stack[depth - 1, GOT] += got
        depth -= 1


@_njit
def _augment(streams, desk, count, members, limit):
    """Sends what is left over phases, until none of it gets anywhere; returns what it sent, or FULL."""
    total = 0
    fine = COARSE if streams.wide_first else EVERYTHING
    while total < limit:
        found, end = _search(streams, desk, count, members)
        if found == 0:
            break
        got = _pull(streams, desk, found, end, limit - total, fine)
        if got == FULL:
            return FULL
        fine = EVERYTHING
        total += got
    return total


@_njit
def _pay(streams, desk, count):
    """Sends what each node has along its stream to what is owed there, nearest first; returns what it sent."""
    supply, debt, chain, n = desk.supply, desk.debt, desk.chain, streams.size
    total = 0
    for i in range(count - 1, -1, -1):
        start = desk.sources[i]
        node, layer = start, desk.nodes[start, LAYER]
        left = supply[start]
        room = left
        while True:
            owed = debt[node]
            if owed > 0:
                amount = min(owed, room)
                if owed < INFINITE:
                    debt[node] -= amount
                back = node
                while back != start:
                    chain[back] += amount
                    back -= n
                left -= amount
                room -= amount
                total += amount
            if room == 0 or layer >= streams.deepest:
                break
            node += n
            layer += 1
            if streams.playing[node] != node:
                break
            room = min(room, streams.along[node] - chain[node])
            if room <= 0:
                break
        supply[start] = left
    return total


@_njit
def _supply(streams, desk, members):
    """Gives nodes what the player's own edges can bring them.

    Returns:
        How many of them get something, and what goes straight to the sink.
    """
    supply, n = desk.supply, streams.size
    capacity, narrow, scale = streams.net.capacity, streams.net.narrow, streams.net.scale
    count, direct = 0, 0
    for layer in range(1, streams.layers + 1):
        for m in members:
            if layer > 1 and m == streams.sink:
                continue
            tail = (layer - 1) * n + m
            base = streams.base[layer] + m
            for q in range(streams.net.nearest[tail], min(streams.net.furthest[tail] + 1, n)):
                amount = capacity_of(capacity, narrow, base + q * n)
                if amount > 0:
                    node = layer * n + q
                    if q == streams.sink:
                        direct += units_of(amount, scale)
                    elif streams.playing[node] == node:
                        if supply[node] == 0:
                            desk.sources[count] = node
                            count += 1
                        units = units_of(amount, scale)
                        supply[node] = INFINITE if units == INFINITE else min(INFINITE, supply[node] + units)
        if not streams.open:
            break
    if streams.open:  # what goes from one of the player's streams to another is no supply
        kept = 0
        for i in range(count):
            node = desk.sources[i]
            inside = False
            for m in members:
                inside |= node % n == m
            if inside:
                supply[node] = 0
            else:
                desk.sources[kept] = node
                kept += 1
        count = kept
    return count, direct


@_njit
def _cut(streams, desk, members, targets, demands, by_layer):
    """Sums what leaves the player and the nodes that the last search saw, per layer; returns the total."""
    nodes, slots, layers, ahead, n = desk.nodes, desk.slots, desk.layers, desk.ahead, streams.size
    capacity, narrow, scale = streams.net.capacity, streams.net.narrow, streams.net.scale
    sink = streams.sink
    nearest, furthest = streams.net.nearest, streams.net.furthest
    by_layer[:] = 0
    for layer in range(1, streams.layers + 1):
        first = layer * n
        total = 0
        seen = layers[layer - 1, SEEN]
        for i in range(seen + members.size):
            if i < seen:
                tail = slots[first - n + i, NODE]
            else:
                m = members[i - seen]
                if layer > 1 and (not streams.open or m == sink):
                    continue
                tail = first - n + m
            base = streams.base[layer] + tail - (first - n) - first * n
            other = _from(ahead, first + min(nearest[tail], n))
            end = first + min(furthest[tail] + 1, n)
            while other < end:
                amount = capacity_of(capacity, narrow, base + other * n)
                if amount > 0:
                    total += units_of(amount, scale)
                other = _from(ahead, other + 1)
            if sink >= 0:
                amount = capacity_of(capacity, narrow, base + (first + sink) * n)
                if amount > 0:
                    total += units_of(amount, scale)
        by_layer[layer] = total
    if sink < 0:
        for i in range(targets.size):
            if nodes[targets[i], LABEL] > desk.meta[CLOCK]:
                by_layer[by_layer.size - 1] += demands[i]
    return by_layer.sum()


@_njit
def _lay(streams, desk, targets, demands, low, high, grand):
    """Lays the base flow: from the nodes of one layer from low to high, each giving its share at most, then more.

    In all no more than twice v(N), for beyond its first layers a network may carry any amount.

    Returns:
        True, or False if the records do not suffice.
    """
    nodes, records, meta, n, begin = desk.nodes, desk.records, desk.meta, streams.size, streams.start
    meta[BASE_USED] = 0
    desk.base_debt[:] = 0
    desk.base_chain[:] = 0
    _restore(desk)
    supply, debt, chain = desk.supply, desk.debt, desk.chain
    if streams.sink >= 0:
        capacity, narrow, scale = streams.net.capacity, streams.net.narrow, streams.net.scale
        for layer in range(2, streams.layers + 1):
            row = streams.base[layer] + streams.sink * n
            for k in range(n):
                if k != streams.sink and capacity_of(capacity, narrow, row + k) > 0:
                    debt[(layer - 1) * n + k] = units_of(capacity_of(capacity, narrow, row + k), scale)
    else:
        for i in range(targets.size):
            debt[targets[i]] = demands[i]
    meta[HINT] = -1
    if begin > 0:
        nobody = np.zeros(0, dtype=np.int64)
        for turn in range(2):
            count = np.int64(0)  # a literal would have all below compiled once more
            for k in range(low, high + 1):
                node = begin * n + k
                if streams.playing[node] == node:
                    supply[node] = grand // (high - low + 1) if turn == 0 else INFINITE
                    desk.sources[count] = node
                    count += 1
            if turn == 0 and streams.wide_first:  # longer ways only make a base of many more edges
                found, end = _search(streams, desk, count, nobody)
                if found > 0 and _pull(streams, desk, found, end, grand, np.int64(COARSE)) == FULL:
                    return False
            elif _augment(streams, desk, count, nobody, grand) == FULL:
                return False
            for k in range(low, high + 1):
                supply[begin * n + k] = 0
        for k in range(low, high + 1):
            node = begin * n + k
            debt[node] += chain[node + n]
            r = nodes[node, FIRST_OUT]
            while r >= 0:
                debt[node] += records[r, FLOW]
                r = records[r, NEXT_OUT]
    meta[LOW_END], meta[HIGH_END] = low, high
    meta[BASE_USED] = meta[USED]
    for i in range(meta[USED]):
        desk.base_flow[i] = records[i, FLOW]
    desk.base_debt[:] = debt
    desk.base_chain[:] = chain
    return True


@_njit
def play_single(
    streams, desk, targets, demands, member_start, members, chosen, first, limit, units, layers, bottleneck
):
    """Finds v({j}) of the chosen players.

    Args:
        streams: the network and its target.
        desk: scratch with a base flow.
        targets: target nodes.
        demands: what each can take, INFINITE for any amount.
        member_start: `[players + 1]`, into `members`.
        members: input positions of each player.
        chosen: players.
        first: place in `chosen` to begin with.
        limit: no value is larger.
        units: `[chosen]`, filled with the values.
        layers: number of layers for the cuts' shares, or -1 for no cuts.
        bottleneck: `[chosen]`, filled with the layer of the largest share of the nearest minimum cut, 0 if
            the flow is 0; -1 if flow and cut differ.

    Returns:
        The number of players, or the place at which the records did not suffice.
    """
    by_layer = np.zeros(max(layers, 0) + 2, dtype=np.int64)
    for place in range(first, chosen.size):
        j = chosen[place]
        own = members[member_start[j] : member_start[j + 1]]
        _restore(desk)
        count, total = _supply(streams, desk, own)
        total += _pay(streams, desk, count)
        desk.meta[HINT] = own[0]
        more = _augment(streams, desk, count, own, limit - total)
        if more == FULL:
            return place
        total += more
        units[place] = total
        if layers >= 0:
            cut = _cut(streams, desk, own, targets, demands, by_layer)
            bottleneck[place] = -1 if cut != total else by_layer.argmax() if total > 0 else 0
    return chosen.size
