"""Compiled loops of the exact maximum flow: Dinic's algorithm on dense layers that nobody copies.

A phase has two halves. `_search` walks forwards from the players over edges with room left until it meets
the target; nodes not seen yet are kept in one shrinking list per group, so that in a dense layer the search
costs one look per node rather than one per edge. `_pull` then lets the target ask for flow: a node passes
what is asked of it on to the nodes one step nearer to the players, straight back along its own position
first (in attention networks the residual stream, the widest edge there is), and whole amounts travel, not
single paths. A search that fails has seen just the players' side of their nearest minimum cut.

Capacities are read where they lie, `[query, key]`, and become integer units on the way. Only edges that
carry flow are written down, in a hash table, so that a flow costs as much memory and as much to forget as
the edges it uses. Amounts are int64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from attnflow.maxflow.graph import DENSE, INFINITE

Ints = NDArray[np.int64]

# Columns of `sets`, one row for each block or link.
SOURCE, TARGET, KIND, BASE, KEYS, FIRST, SHIFT, SIZE, LAYER = range(9)
# Columns of `groups`: how many of a group's nodes are in play (they lead to the target, and nobody proved that they no
# longer do), how many of those the present search has not seen, and how many it has; least and largest label.
START, COUNT, ALIVE, LEFT, SEEN, LOW, HIGH, HINT = range(8)
# Columns of `nodes`: a cache line each.
LABEL, SLOT, ARC_SET, ARC_AT, FIRST_IN, FIRST_OUT, SUPPLY, DEMAND = range(8)
# Columns of `slots`: the node in the slot, and a later slot to look at instead, if any.
NODE, SKIP = range(2)
# Columns of `stack`.
AT, WANT, GOT, EDGE, RECORD = range(5)
# Columns of `records`, one row for each edge that carries flow, or did.
OF, FLOW, TAIL, HEAD, NEXT_IN, NEXT_OUT, HASH = range(7)
# Entries of `meta`.
USED, CLOCK, NEAR = range(3)

FULL = -2
_SPREAD = 0x9E3779B97F4A7C15 - (1 << 64)


class Net(NamedTuple):
    """What the kernels see of a network.

    Attributes:
        capacity: float64 `[dense edges]`, per block `[queries, keys]`, flat; empty if `narrow` is not.
        narrow: float32 capacities in their place, so that they need not be copied; one compiled loop reads either.
        link_capacity: float64 `[link edges]`; their edge numbers follow those of the dense ones.
        scale: capacities times this are integer units.
        sets: `[blocks and links, 9]`, see the column names.
        group_of: `[nodes]`, group of each node.
        start: `[groups]`, first node of each group.
        sizes: `[groups]`, its number of nodes.
        out_start: `[groups + 1]`, into `out_set`: blocks and links that leave each group.
        out_set: their numbers.
        in_start: `[groups + 1]`, into `in_set`: blocks and links that enter each group.
        in_set: their numbers.
        order: `[nodes]`, per group its nodes by the capacity that leaves them, largest first: asking the wide ones
            first means asking fewer.
        nearest: `[nodes]`, least query position that a dense edge from this node enters.
        furthest: `[nodes]`, largest such position, -1 if there is none.
        last: `[nodes]`, largest key position from which a dense edge enters this node, -1 if none does.
    """

    capacity: NDArray[np.float64]
    narrow: NDArray[np.float32]
    link_capacity: NDArray[np.float64]
    scale: float
    sets: Ints
    group_of: Ints
    start: Ints
    sizes: Ints
    out_start: Ints
    out_set: Ints
    in_start: Ints
    in_set: Ints
    order: Ints
    nearest: Ints
    furthest: Ints
    last: Ints

    @property
    def given(self) -> NDArray[Any]:
        """The capacities of dense edges, of either type."""
        return self.narrow if self.narrow.size else self.capacity


class Room(NamedTuple):
    """Scratch arrays of one solver thread; see the column names above.

    Attributes:
        groups: `[groups, 8]`.
        nodes: `[nodes, 8]`.
        slots: `[nodes, 2]`, per group the nodes seen, their labels rising.
        playing: `[nodes + 1]`, the first useful node from each on.
        alive: `[nodes + 1]`, the first node in play from each on, or one nearer to it.
        ahead: `[nodes + 1]`, the same for the nodes not seen yet.
        queue: `[nodes]`.
        stack: `[nodes + 2, 5]`.
        records: `[most records, 7]`.
        table: `[power of two]`, record numbers plus one by hash of the edge, 0 where empty.
        meta: `[3]`, records used, the label below the present search's, and the label of the nodes that
            hold supply in it.
    """

    groups: Ints
    nodes: Ints
    slots: Ints
    playing: Ints
    alive: Ints
    ahead: Ints
    queue: Ints
    stack: Ints
    records: Ints
    table: Ints
    meta: Ints


def make_room(net: Net, records: int, useful: NDArray[np.bool_]) -> Room:
    """Allocates scratch arrays for a network and so many edges with flow.

    Nodes that are not useful, for they do not lead to the target, are never in play.
    """
    count = net.group_of.size
    nodes = np.zeros((count, 8), dtype=np.int64)
    nodes[:, FIRST_IN] = nodes[:, FIRST_OUT] = -1
    slots = np.zeros((count, 2), dtype=np.int64)
    groups = np.zeros((net.start.size, 8), dtype=np.int64)
    groups[:, START], groups[:, COUNT] = net.start, net.sizes
    found = np.flatnonzero(useful)
    playing = np.append(found, count)[np.searchsorted(found, np.arange(count + 1))]
    return Room(
        groups=groups,
        nodes=nodes,
        slots=slots,
        playing=playing,
        alive=playing.copy(),
        ahead=playing.copy(),
        queue=np.zeros(count, dtype=np.int64),
        stack=np.zeros((count + 2, 5), dtype=np.int64),
        records=np.zeros((records, 7), dtype=np.int64),
        table=np.zeros(1 << (2 * records - 1).bit_length(), dtype=np.int32),
        meta=np.zeros(3, dtype=np.int64),
    )


def _njit(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False)(function)


def _inlined(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False, forceinline=True)(function)


@_inlined
def units_of(capacity, scale):
    """A capacity in integer units: rounded to the nearest, a non-zero one to one unit at least."""
    if capacity == np.inf:
        return INFINITE
    units = np.int64(np.rint(capacity * scale))
    if units == 0 and capacity > 0:
        return 1
    return units


@_inlined
def capacity_of(capacity, narrow, edge):
    """Capacity of a dense edge, of either type."""
    return np.float64(narrow[edge]) if narrow.size > 0 else capacity[edge]


@_inlined
def _find(table, records, edge):
    """Number of an edge's record, or -1."""
    mask = table.size - 1
    place = ((edge * _SPREAD) >> 20) & mask
    while table[place] > 0:
        if records[table[place] - 1, OF] == edge:
            return table[place] - 1
        place = (place + 1) & mask
    return -1


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
def _forget(net, room):
    """Takes all flow back and every useful node into play."""
    table, records, nodes, groups = room.table, room.records, room.nodes, room.groups
    for i in range(room.meta[USED]):
        table[records[i, HASH]] = 0
        nodes[records[i, TAIL], FIRST_OUT] = -1
        nodes[records[i, HEAD], FIRST_IN] = -1
    room.meta[USED] = 0
    room.alive[:] = room.playing
    groups[:, ALIVE] = 0
    node = room.playing[0]
    while node < nodes.shape[0]:
        groups[net.group_of[node], ALIVE] += 1
        node = room.playing[node + 1]


@_inlined
def _see(nodes, slots, groups, ahead, g, node, label):
    """Labels a node of group g and lists it among those seen."""
    groups[g, LEFT] -= 1
    groups[g, HIGH] = label
    if groups[g, LOW] == 0:
        groups[g, LOW] = label
    slot = groups[g, START] + groups[g, SEEN]
    groups[g, SEEN] += 1
    slots[slot, NODE] = node
    slots[slot, SKIP] = slot
    ahead[node] = node + 1
    nodes[node, SLOT] = slot
    nodes[node, LABEL] = label
    nodes[node, ARC_SET] = 0
    nodes[node, ARC_AT] = -1


@_inlined
def _from(ahead, node):
    """First node from this one on that was not seen yet."""
    while ahead[node] != node:
        ahead[node] = ahead[ahead[node]]
        node = ahead[node]
    return node


@_njit
def _search(net, room, sources, targets):
    """Labels nodes by their distance from the sources with supply, until it meets the target.

    Returns:
        The label of the nearest node with demand, 0 if none is reached.
    """
    groups, nodes, slots, ahead, queue, records, table = (
        room.groups,
        room.nodes,
        room.slots,
        room.ahead,
        room.queue,
        room.records,
        room.table,
    )
    capacity, narrow, links, scale, sets, group_of = (
        net.capacity,
        net.narrow,
        net.link_capacity,
        net.scale,
        net.sets,
        net.group_of,
    )
    out_start, out_set, in_start, in_set = net.out_start, net.out_set, net.in_start, net.in_set
    nearest, furthest = net.nearest, net.furthest
    dense = capacity.size + narrow.size
    room.meta[CLOCK] += nodes.shape[0] + 2
    below = room.meta[CLOCK]
    for g in range(groups.shape[0]):
        groups[g, LEFT] = groups[g, ALIVE]
        groups[g, SEEN] = groups[g, LOW] = groups[g, HIGH] = 0
    ahead[:] = room.alive
    head = tail = found = 0
    room.meta[NEAR] = below + 1
    for i in range(sources.size):
        node = sources[i]
        g = group_of[node]
        if nodes[node, SUPPLY] > 0 and ahead[node] == node:
            _see(nodes, slots, groups, ahead, g, node, below + 1)
            queue[tail] = node
            tail += 1
    # A lone source of any amount hands it to its neighbours at once: they are asked in its stead.
    lone = tail == 1 and nodes[queue[0], SUPPLY] == INFINITE and nodes[queue[0], FIRST_IN] < 0
    # Where the first source stands, its stream holds most of the flow: worth asking early.
    g = group_of[queue[0]]
    for h in range(groups.shape[0]):
        same = tail > 0 and groups[h, COUNT] == groups[g, COUNT]
        groups[h, HINT] = groups[h, START] + queue[0] - groups[g, START] if same else -1
    while head < tail:
        node = queue[head]
        head += 1
        label = nodes[node, LABEL] + 1
        if head == 2 and lone and found == 0:
            room.meta[NEAR] = below + 2
        if 0 < found < label:
            break
        g = group_of[node]
        at = node - groups[g, START]
        for s in range(out_start[g], out_start[g + 1]):
            b = out_set[s]
            h = sets[b, TARGET]
            if groups[h, LEFT] == 0:
                continue
            first = groups[h, START]
            if sets[b, KIND] == DENSE:
                keys = sets[b, KEYS]
                base = sets[b, BASE] + at - first * keys
                end = first + min(furthest[node] + 1, groups[h, COUNT])
                other = _from(ahead, first + min(nearest[node], groups[h, COUNT]))
                while other < end:
                    edge = base + other * keys
                    amount = capacity_of(capacity, narrow, edge)
                    open_ = amount > 0
                    r = -1
                    if open_ and nodes[other, FIRST_IN] >= 0:
                        r = _find(table, records, edge)
                        open_ = r < 0 or units_of(amount, scale) > records[r, FLOW]
                    if open_:
                        _see(nodes, slots, groups, ahead, h, other, label)
                        if lone and head == 1:
                            nodes[other, ARC_AT] = edge
                            nodes[other, ARC_SET] = r
                            nodes[other, SUPPLY] = units_of(amount, scale)
                            if r >= 0:
                                nodes[other, SUPPLY] -= records[r, FLOW]
                        queue[tail] = other
                        tail += 1
                        if nodes[other, DEMAND] > 0:
                            found = label
                            if targets == 1:
                                return found
                    other = _from(ahead, other + 1)
            else:
                k = at - sets[b, FIRST]
                other = first + at + sets[b, SHIFT]
                if 0 <= k < sets[b, SIZE] and ahead[other] == other:
                    edge = sets[b, BASE] + k
                    room_left = units_of(links[edge - dense], scale)
                    r = _find(table, records, edge)
                    if r >= 0:
                        room_left -= records[r, FLOW]
                    if room_left > 0:
                        _see(nodes, slots, groups, ahead, h, other, label)
                        if lone and head == 1:
                            nodes[other, ARC_AT] = edge
                            nodes[other, ARC_SET] = r
                            nodes[other, SUPPLY] = room_left
                        queue[tail] = other
                        tail += 1
                        if nodes[other, DEMAND] > 0:
                            found = label
                            if targets == 1:
                                return found
        if nodes[node, FIRST_IN] < 0:
            continue
        unseen = 0
        for s in range(in_start[g], in_start[g + 1]):
            unseen += groups[sets[in_set[s], SOURCE], LEFT]
        if unseen == 0:
            continue
        r = nodes[node, FIRST_IN]
        while r >= 0:
            other = records[r, TAIL]
            if records[r, FLOW] > 0:
                h = group_of[other]
                if ahead[other] == other:
                    _see(nodes, slots, groups, ahead, h, other, label)
                    queue[tail] = other
                    tail += 1
                    if nodes[other, DEMAND] > 0:
                        found = label
                        if targets == 1:
                            return found
            r = records[r, NEXT_IN]
    return found


@_njit
def _widest_first(net, room):
    """Lists the nodes seen in the order of what leaves them, in groups where all are equally far."""
    groups, nodes, slots, order, below = room.groups, room.nodes, room.slots, net.order, room.meta[CLOCK]
    for g in range(groups.shape[0]):
        if groups[g, LOW] == groups[g, HIGH] and groups[g, SEEN] > 1:
            slot = groups[g, START]
            for i in range(groups[g, START], groups[g, START] + groups[g, COUNT]):
                node = order[i]
                if nodes[node, LABEL] > below:
                    slots[slot, NODE] = node
                    nodes[node, SLOT] = slot
                    slot += 1


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
def _worth(nodes, slots, node, label):
    """True if a node has this label and was not asked in vain since."""
    slot = nodes[node, SLOT]
    return nodes[node, LABEL] == label and slots[slot, SKIP] == slot


@_inlined
def _first(nodes, slots, low, high, label):
    """First slot from low to high whose label is no less; along a group's slots labels rise."""
    while low < high:
        middle = (low + high) >> 1
        if nodes[slots[middle, NODE], LABEL] < label:
            low = middle + 1
        else:
            high = middle
    return low


@_njit
def _pull(net, room, root, wanted):
    """Lets a target node ask for flow along falling labels; returns what it got, or FULL."""
    groups, nodes, slots, stack, records, table, meta = (
        room.groups,
        room.nodes,
        room.slots,
        room.stack,
        room.records,
        room.table,
        room.meta,
    )
    capacity, narrow, links, scale, sets, group_of = (
        net.capacity,
        net.narrow,
        net.link_capacity,
        net.scale,
        net.sets,
        net.group_of,
    )
    in_start, in_set = net.in_start, net.in_set
    dense = capacity.size + narrow.size
    below, near, source = meta[CLOCK], meta[NEAR], room.queue[0]
    depth = 0
    stack[0, AT], stack[0, WANT], stack[0, GOT] = root, wanted, 0
    while True:
        if meta[USED] + 2 > records.shape[0]:
            return FULL
        node = stack[depth, AT]
        if stack[depth, GOT] < stack[depth, WANT]:
            # The next node to ask: one label lower, with room on the edge from it.
            label = nodes[node, LABEL] - 1
            g = group_of[node]
            at = node - groups[g, START]
            entering = in_start[g + 1] - in_start[g]
            s, i = nodes[node, ARC_SET], nodes[node, ARC_AT]
            other, edge, r, space = -1, -1, -1, 0
            written = nodes[node, FIRST_IN] >= 0
            while s < entering:
                b = in_set[in_start[g] + s]
                h = sets[b, SOURCE]
                if groups[h, LOW] <= label <= groups[h, HIGH]:
                    first = groups[h, START]
                    if sets[b, KIND] == DENSE:
                        row = sets[b, BASE] + at * sets[b, KEYS] - first
                        while i < 0:
                            asked = first + at if i == -1 else groups[h, HINT]
                            if (
                                first <= asked < first + groups[h, COUNT]
                                and _worth(nodes, slots, asked, label)
                                and capacity_of(capacity, narrow, row + asked) > 0
                            ):
                                space = units_of(capacity_of(capacity, narrow, row + asked), scale)
                                r = _find(table, records, row + asked) if written else -1
                                if r >= 0:
                                    space -= records[r, FLOW]
                                if space > 0:
                                    other, edge = asked, row + asked
                                    break
                            i = -3 if i == -1 else _first(nodes, slots, first, first + groups[h, SEEN], label)
                        if other >= 0:
                            break
                        end = first + groups[h, SEEN]
                        i = _next(slots, i, end)
                        while i < end:
                            asked = slots[i, NODE]
                            if nodes[asked, LABEL] > label:
                                break
                            amount = capacity_of(capacity, narrow, row + asked)
                            if amount > 0:
                                space = units_of(amount, scale)
                                r = _find(table, records, row + asked) if written else -1
                                if r >= 0:
                                    space -= records[r, FLOW]
                                if space > 0:
                                    other, edge = asked, row + asked
                                    break
                            i = _next(slots, i + 1, end)
                        if other >= 0:
                            break
                    elif i == -1:
                        k = at - sets[b, SHIFT] - sets[b, FIRST]
                        asked = first + at - sets[b, SHIFT]
                        if 0 <= k < sets[b, SIZE] and _worth(nodes, slots, asked, label):
                            edge = sets[b, BASE] + k
                            space = units_of(links[edge - dense], scale)
                            r = _find(table, records, edge) if written else -1
                            if r >= 0:
                                space -= records[r, FLOW]
                            if space > 0:
                                other = asked
                                break
                s += 1
                i = -1
            if other < 0:
                # Or take back what this node sends on to another that is nearer to the players.
                if i == -1:
                    i = nodes[node, FIRST_OUT]
                    if i < 0:
                        i = FULL
                while i >= 0:
                    asked = records[i, HEAD]
                    if records[i, FLOW] > 0 and _worth(nodes, slots, asked, label):
                        other, edge, r, space = asked, -1, i, records[i, FLOW]
                        break
                    i = records[i, NEXT_OUT]
                    if i < 0:
                        i = FULL
            nodes[node, ARC_SET], nodes[node, ARC_AT] = s, i
            if other >= 0:
                amount = min(stack[depth, WANT] - stack[depth, GOT], space)
                if label > near:
                    depth += 1
                    stack[depth, AT], stack[depth, WANT], stack[depth, GOT] = other, amount, 0
                    stack[depth, EDGE], stack[depth, RECORD] = edge, r
                    continue
                if nodes[other, SUPPLY] <= amount:
                    amount = nodes[other, SUPPLY]
                    slots[nodes[other, SLOT], SKIP] = nodes[other, SLOT] + 1
                if amount == 0:
                    continue
                if nodes[other, SUPPLY] < INFINITE:
                    nodes[other, SUPPLY] -= amount
                if near > below + 1:  # it comes from the lone source
                    given = nodes[other, ARC_SET]
                    if given < 0:
                        given = _write(table, records, nodes, meta, nodes[other, ARC_AT], source, other)
                        nodes[other, ARC_SET] = given
                    records[given, FLOW] += amount
                if edge < 0:
                    records[r, FLOW] -= amount
                else:
                    if r < 0:
                        r = _write(table, records, nodes, meta, edge, other, node)
                    records[r, FLOW] += amount
                stack[depth, GOT] += amount
                continue
            slots[nodes[node, SLOT], SKIP] = nodes[node, SLOT] + 1
        got = stack[depth, GOT]
        if depth == 0:
            return got
        if got > 0:
            r = stack[depth, RECORD]
            if stack[depth, EDGE] < 0:
                records[r, FLOW] -= got
            else:
                if r < 0:
                    r = _write(table, records, nodes, meta, stack[depth, EDGE], node, stack[depth - 1, AT])
                records[r, FLOW] += got
            stack[depth - 1, GOT] += got
        depth -= 1


@_njit
def _augment(net, room, sources, targets, limit):
    """Adds to the flow until it is maximal or reaches the limit; returns what it added, or FULL.

    Unless the limit was reached, the labels of the last search mark the nodes that the sources still
    reach: their side of a minimum cut, and the nearest one.
    """
    nodes = room.nodes
    total = 0
    while total < limit:
        found = _search(net, room, sources, targets.size)
        if found == 0:
            break
        if (
            found == room.meta[CLOCK] + 2
        ):  # a target next to a source: its neighbours were given supply in vain
            for i in range(nodes.shape[0]):
                if nodes[i, LABEL] == found:
                    nodes[i, ARC_SET], nodes[i, ARC_AT] = 0, -1
        for i in range(targets.size):
            root = targets[i]
            if nodes[root, DEMAND] > 0 and nodes[root, LABEL] > room.meta[CLOCK] and total < limit:
                got = _pull(net, room, root, min(nodes[root, DEMAND], limit - total))
                if got == FULL:
                    return FULL
                if nodes[root, DEMAND] < INFINITE:
                    nodes[root, DEMAND] -= got
                total += got
    return total


@_njit
def _cut(net, room, targets, demands, by_layer):
    """Sums the capacity that leaves the nodes seen by the last search, per layer; returns the total.

    Edges to nodes that do not lead to the target are in no minimum cut.
    """
    by_layer[:] = 0
    groups, nodes, slots, ahead, sets = room.groups, room.nodes, room.slots, room.ahead, net.sets
    capacity, narrow, links, scale = net.capacity, net.narrow, net.link_capacity, net.scale
    dense = capacity.size + narrow.size
    for b in range(sets.shape[0]):
        g, h = sets[b, SOURCE], sets[b, TARGET]
        first, second = groups[g, START], groups[h, START]
        total = 0
        if sets[b, KIND] == DENSE:
            keys = sets[b, KEYS]
            for i in range(first, first + groups[g, SEEN]):
                tail = slots[i, NODE]
                end = second + min(net.furthest[tail] + 1, groups[h, COUNT])
                base = sets[b, BASE] + tail - first - second * keys
                head = _from(ahead, second + min(net.nearest[tail], groups[h, COUNT]))
                while head < end:
                    amount = capacity_of(capacity, narrow, base + head * keys)
                    if amount > 0:
                        total += units_of(amount, scale)
                    head = _from(ahead, head + 1)
        else:
            for k in range(sets[b, SIZE]):
                tail = first + sets[b, FIRST] + k
                head = second + sets[b, FIRST] + sets[b, SHIFT] + k
                if nodes[tail, LABEL] > room.meta[CLOCK] and ahead[head] == head:
                    total += units_of(links[sets[b, BASE] + k - dense], scale)
        by_layer[sets[b, LAYER]] += total
    for i in range(targets.size):
        if nodes[targets[i], LABEL] > room.meta[CLOCK]:
            by_layer[by_layer.size - 1] += demands[i]
    return by_layer.sum()


@_njit
def play(
    net,
    room,
    targets,
    demands,
    member_start,
    members,
    supplies,
    rounds,
    steps,
    chosen,
    first,
    limit,
    gains,
    layers,
    bottleneck,
):
    """Plays rounds of the game: in each, players join step by step, and the flow is made maximal again.

    After a search that meets no target, nothing it has seen can reach the target, and flow added later
    never passes there: those nodes are out for the rest of the round.

    Args:
        net: the network.
        room: scratch; after the last round it holds that round's flow.
        targets: target nodes.
        demands: what each of them can take, INFINITE for any amount.
        member_start: `[players + 1]`, into `members`.
        members: input nodes of each player.
        supplies: `[players]`, what the players may send, INFINITE for any amount.
        rounds: `[rounds + 1]`, into `steps`.
        steps: `[steps + 1]`, into `chosen`.
        chosen: players that join in each step.
        first: round to begin with.
        limit: value at which a round may stop; the rest of its steps gain nothing.
        gains: `[steps]`, filled with what each step adds.
        layers: number of layers for the cuts' shares, or -1 for rounds without cuts.
        bottleneck: `[rounds]`, filled with the layer of the largest share of the nearest minimum cut, 0
            if the flow is 0; -1 if flow and cut differ.

    Returns:
        The number of rounds, or the round in which the room became too small.
    """
    nodes, groups = room.nodes, room.groups
    most = 0
    for i in range(steps.size - 1):
        size = 0
        for c in range(steps[i], steps[i + 1]):
            size += member_start[chosen[c] + 1] - member_start[chosen[c]]
        most = max(most, size)
    sources = np.empty(most, dtype=np.int64)
    by_layer = np.zeros(max(layers, 0) + 2, dtype=np.int64)
    for number in range(first, rounds.size - 1):
        _forget(net, room)
        for i in range(targets.size):
            nodes[targets[i], DEMAND] = demands[i]
        total = 0
        for step in range(rounds[number], rounds[number + 1]):
            gains[step] = 0
            if total == limit:
                continue
            size = 0
            for c in range(steps[step], steps[step + 1]):
                j = chosen[c]
                for m in range(member_start[j], member_start[j + 1]):
                    node = members[m]
                    if room.alive[node] == node:
                        nodes[node, SUPPLY] = supplies[j]
                        sources[size] = node
                        size += 1
            if size == 0:  # none of them leads to the target: nothing is seen
                room.meta[CLOCK] += nodes.shape[0] + 2
                room.ahead[:] = room.alive
                groups[:, SEEN] = 0
            else:
                gained = _augment(net, room, sources[:size], targets, limit - total)
                for i in range(size):
                    nodes[sources[i], SUPPLY] = 0
                if gained == FULL:
                    for i in range(targets.size):
                        nodes[targets[i], DEMAND] = 0
                    return number
                gains[step] = gained
                total += gained
                if layers < 0 and total < limit and step + 1 < rounds[number + 1]:
                    groups[:, ALIVE] = groups[:, LEFT]
                    room.alive[:] = room.ahead
        if layers >= 0:
            cut = _cut(net, room, targets, demands, by_layer)
            bottleneck[number] = -1 if cut != total else by_layer.argmax() if total > 0 else 0
        for i in range(targets.size):
            nodes[targets[i], DEMAND] = 0
    return rounds.size - 1


@_njit
def towards(net, nodes, least):
    """Returns the mask of nodes from which edges of at least this capacity lead to one of `nodes`."""
    sets, group_of, links = net.sets, net.group_of, net.link_capacity
    capacity, narrow = net.capacity, net.narrow
    dense = capacity.size + narrow.size
    seen = np.zeros(group_of.size, dtype=np.bool_)
    queue = np.empty(group_of.size, dtype=np.int64)
    ahead = np.arange(group_of.size + 1)
    head = tail = 0
    for i in range(nodes.size):
        seen[nodes[i]] = True
        ahead[nodes[i]] += 1
        queue[tail] = nodes[i]
        tail += 1
    while head < tail:
        node = queue[head]
        head += 1
        g = group_of[node]
        at = node - net.start[g]
        for s in range(net.in_start[g], net.in_start[g + 1]):
            b = net.in_set[s]
            first = net.start[sets[b, SOURCE]]
            if sets[b, KIND] == DENSE:
                row = sets[b, BASE] + at * sets[b, KEYS] - first
                end = first + min(net.last[node] + 1, sets[b, KEYS])
                other = _from(ahead, first)
                while other < end:
                    if capacity_of(capacity, narrow, row + other) >= least:
                        seen[other] = True
                        ahead[other] = other + 1
                        queue[tail] = other
                        tail += 1
                    other = _from(ahead, other + 1)
            else:
                k = at - sets[b, SHIFT] - sets[b, FIRST]
                other = first + at - sets[b, SHIFT]
                if 0 <= k < sets[b, SIZE] and links[sets[b, BASE] + k - dense] >= least and not seen[other]:
                    seen[other] = True
                    ahead[other] = other + 1
                    queue[tail] = other
                    tail += 1
    return seen


@_njit
def spans(net):
    """Fills `nearest`, `furthest` and `last`, see `Net`."""
    sets, capacity, narrow = net.sets, net.capacity, net.narrow
    net.nearest[:] = net.group_of.size
    net.furthest[:] = -1
    net.last[:] = -1
    for b in range(sets.shape[0]):
        if sets[b, KIND] == DENSE:
            first, second, keys = net.start[sets[b, SOURCE]], net.start[sets[b, TARGET]], sets[b, KEYS]
            for q in range(sets[b, SIZE]):
                row = sets[b, BASE] + q * keys
                for k in range(keys):
                    if capacity_of(capacity, narrow, row + k) > 0:
                        net.nearest[first + k] = min(net.nearest[first + k], q)
                        net.furthest[first + k] = max(net.furthest[first + k], q)
                        net.last[second + q] = max(net.last[second + q], k)


@_njit
def leaving(net):
    """Returns the capacity that leaves each node in units, INFINITE if any of its edges is infinite."""
    total = np.zeros(net.group_of.size, dtype=np.int64)
    sets = net.sets
    for b in range(sets.shape[0]):
        first = net.start[sets[b, SOURCE]]
        if sets[b, KIND] == DENSE:
            for q in range(sets[b, SIZE]):
                row = sets[b, BASE] + q * sets[b, KEYS]
                for k in range(sets[b, KEYS]):
                    total[first + k] = min(
                        INFINITE,
                        total[first + k]
                        + units_of(capacity_of(net.capacity, net.narrow, row + k), net.scale),
                    )
        else:
            for k in range(sets[b, SIZE]):
                node = first + sets[b, FIRST] + k
                units = units_of(
                    net.link_capacity[sets[b, BASE] + k - net.capacity.size - net.narrow.size], net.scale
                )
                total[node] = min(INFINITE, total[node] + units)
    return total
