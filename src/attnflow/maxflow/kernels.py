"""Compiled loops of the exact maximum flow: Dinic's algorithm on implicit dense layers.

A phase has two halves. `_levels` searches backwards from the target over edges with room left and stops
at the nearest player that still has supply; nodes not seen yet are kept in one shrinking list per group,
so that in a dense layer the search costs one look per node rather than one per edge. `_block` then pushes
paths forward along falling levels, every node remembering the arc it stopped at.

Everything is int64. Flows are kept apart from capacities, so that many flows share one network; edges that
carry flow are listed as they are touched, which makes forgetting a flow as cheap as finding it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from attnflow.maxflow.graph import DENSE, INFINITE, Arrays

Ints = NDArray[np.int64]
UNLIMITED = INFINITE


class Room(NamedTuple):
    """Scratch arrays of one solver thread.

    Attributes:
        flow: `[edges]`, the flow on each edge.
        level: `[nodes]`, distance to the target in edges plus one, 0 if unseen.
        arc_set: `[nodes]`, ordinal of the edge set the node's search stopped in.
        arc_at: `[nodes]`, where in that set.
        queue: `[nodes]`.
        unseen: `[nodes]`, per group its unseen nodes first, then the seen ones.
        slot: `[nodes]`, where each node stands in `unseen`.
        left: `[groups]`, number of unseen nodes.
        path: `[nodes]`, edges of the current path.
        along: `[nodes]`, 1 where the path uses an edge forwards, -1 backwards.
        stop: `[nodes]`, nodes of the current path.
        supply: `[nodes]`, what the players at a node can still send.
        demand: `[nodes]`, what the target can still take at a node.
        touched: edges that carry flow, or did.
        marks: `[1]`, entries of `touched`; beyond its length once it has overflowed.
    """

    flow: Ints
    level: Ints
    arc_set: Ints
    arc_at: Ints
    queue: Ints
    unseen: Ints
    slot: Ints
    left: Ints
    path: Ints
    along: Ints
    stop: Ints
    supply: Ints
    demand: Ints
    touched: Ints
    marks: Ints


def make_room(arrays: Arrays, edges: int) -> Room:
    """Allocates scratch arrays for a network."""
    nodes = arrays.group.size

    def per_node() -> Ints:
        return np.zeros(nodes, dtype=np.int64)

    return Room(
        flow=np.zeros(edges, dtype=np.int64),
        level=per_node(),
        arc_set=per_node(),
        arc_at=per_node(),
        queue=per_node(),
        unseen=per_node(),
        slot=per_node(),
        left=np.zeros(arrays.start.size - 1, dtype=np.int64),
        path=per_node(),
        along=per_node(),
        stop=per_node(),
        supply=per_node(),
        demand=per_node(),
        touched=np.zeros(max(1024, edges // 8), dtype=np.int64),
        marks=np.zeros(1, dtype=np.int64),
    )


def _njit(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False)(function)


@_njit
def clear(room):
    """Forgets the flow."""
    if room.marks[0] > room.touched.size:
        room.flow[:] = 0
    else:
        for i in range(room.marks[0]):
            room.flow[room.touched[i]] = 0
    room.marks[0] = 0


@_njit
def _nothing_seen(arrays, room):
    room.level[:] = 0
    for node in range(arrays.group.size):
        room.unseen[node] = node
        room.slot[node] = node
    for g in range(room.left.size):
        room.left[g] = arrays.start[g + 1] - arrays.start[g]


@_njit
def _see(arrays, room, node, level):
    """Gives a node its level and swaps it out of its group's unseen list."""
    room.level[node] = level
    g = arrays.group[node]
    room.left[g] -= 1
    last = arrays.start[g] + room.left[g]
    at = room.slot[node]
    other = room.unseen[last]
    room.unseen[at] = other
    room.slot[other] = at
    room.unseen[last] = node
    room.slot[node] = last


@_njit
def _levels(arrays, capacity, room):
    """Searches backwards from the target; returns the level of the nearest supply, 0 if none is left."""
    _nothing_seen(arrays, room)
    flow, level, start = room.flow, room.level, arrays.start
    head = tail = 0
    for node in range(arrays.group.size - 1, -1, -1):
        if room.demand[node] > 0:
            _see(arrays, room, node, 1)
            room.queue[tail] = node
            tail += 1
    while head < tail:
        node = room.queue[head]
        head += 1
        g = arrays.group[node]
        at = node - start[g]
        above = level[node] + 1
        for s in range(arrays.in_start[g], arrays.in_start[g + 1]):
            b = arrays.in_set[s]
            other_group = arrays.source[b]
            if room.left[other_group] == 0:
                continue
            first = start[other_group]
            if arrays.kind[b] == DENSE:
                base, cols = arrays.base[b] + at, arrays.cols[b]
                i = first
                while i < first + room.left[other_group]:
                    other = room.unseen[i]
                    e = base + (other - first) * cols
                    if capacity[e] > flow[e]:
                        _see(arrays, room, other, above)
                        room.queue[tail] = other
                        tail += 1
                        if room.supply[other] > 0:
                            return above
                    else:
                        i += 1
            else:
                k = at - arrays.shift[b] - arrays.first[b]
                if 0 <= k < arrays.size[b]:
                    other = first + at - arrays.shift[b]
                    e = arrays.base[b] + k
                    if level[other] == 0 and capacity[e] > flow[e]:
                        _see(arrays, room, other, above)
                        room.queue[tail] = other
                        tail += 1
                        if room.supply[other] > 0:
                            return above
        for s in range(arrays.out_start[g], arrays.out_start[g + 1]):
            b = arrays.out_set[s]
            other_group = arrays.target[b]
            if room.left[other_group] == 0:
                continue
            first = start[other_group]
            if arrays.kind[b] == DENSE:
                base = arrays.base[b] + at * arrays.cols[b]
                i = first
                while i < first + room.left[other_group]:
                    other = room.unseen[i]
                    if flow[base + other - first] > 0:
                        _see(arrays, room, other, above)
                        room.queue[tail] = other
                        tail += 1
                        if room.supply[other] > 0:
                            return above
                    else:
                        i += 1
            else:
                k = at - arrays.first[b]
                if 0 <= k < arrays.size[b]:
                    other = first + at + arrays.shift[b]
                    if level[other] == 0 and flow[arrays.base[b] + k] > 0:
                        _see(arrays, room, other, above)
                        room.queue[tail] = other
                        tail += 1
                        if room.supply[other] > 0:
                            return above
    return 0


@_njit
def _advance(arrays, capacity, room, node, depth):
    """Moves a path one admissible arc on from `node`; returns False if there is none."""
    flow, level = room.flow, room.level
    g = arrays.group[node]
    at = node - arrays.start[g]
    wanted = level[node] - 1
    leaving = arrays.out_start[g + 1] - arrays.out_start[g]
    entering = arrays.in_start[g + 1] - arrays.in_start[g]
    s, i = room.arc_set[node], room.arc_at[node]
    while s < leaving:
        b = arrays.out_set[arrays.out_start[g] + s]
        first = arrays.start[arrays.target[b]]
        if arrays.kind[b] == DENSE:
            row, cols = arrays.base[b] + at * arrays.cols[b], arrays.cols[b]
            while i < cols:
                if level[first + i] == wanted and capacity[row + i] > flow[row + i]:
                    room.arc_set[node], room.arc_at[node] = s, i
                    room.path[depth] = row + i
                    room.along[depth] = 1
                    room.stop[depth + 1] = first + i
                    return True
                i += 1
        else:
            k = at - arrays.first[b]
            if i == 0 and 0 <= k < arrays.size[b]:
                other, e = first + at + arrays.shift[b], arrays.base[b] + k
                if level[other] == wanted and capacity[e] > flow[e]:
                    room.arc_set[node], room.arc_at[node] = s, 0
                    room.path[depth] = e
                    room.along[depth] = 1
                    room.stop[depth + 1] = other
                    return True
        s += 1
        i = 0
    while s < leaving + entering:
        b = arrays.in_set[arrays.in_start[g] + s - leaving]
        first = arrays.start[arrays.source[b]]
        if arrays.kind[b] == DENSE:
            base, cols, rows = arrays.base[b] + at, arrays.cols[b], arrays.size[b]
            while i < rows:
                if level[first + i] == wanted and flow[base + i * cols] > 0:
                    room.arc_set[node], room.arc_at[node] = s, i
                    room.path[depth] = base + i * cols
                    room.along[depth] = -1
                    room.stop[depth + 1] = first + i
                    return True
                i += 1
        else:
            k = at - arrays.shift[b] - arrays.first[b]
            if i == 0 and 0 <= k < arrays.size[b]:
                other, e = first + at - arrays.shift[b], arrays.base[b] + k
                if level[other] == wanted and flow[e] > 0:
                    room.arc_set[node], room.arc_at[node] = s, 0
                    room.path[depth] = e
                    room.along[depth] = -1
                    room.stop[depth + 1] = other
                    return True
        s += 1
        i = 0
    room.arc_set[node], room.arc_at[node] = s, 0
    return False


@_njit
def _block(arrays, capacity, room, player, limit):
    """Pushes paths from one node along falling levels until none is left; returns what it pushed."""
    flow = room.flow
    pushed = 0
    depth = 0
    room.stop[0] = player
    while True:
        node = room.stop[depth]
        if room.level[node] == 1:
            if room.demand[node] > 0:
                amount = min(limit - pushed, room.supply[player], room.demand[node])
                for d in range(depth):
                    e = room.path[d]
                    amount = min(amount, capacity[e] - flow[e] if room.along[d] > 0 else flow[e])
                back = depth
                for d in range(depth - 1, -1, -1):
                    e = room.path[d]
                    if room.along[d] > 0:
                        if flow[e] == 0:
                            if room.marks[0] < room.touched.size:
                                room.touched[room.marks[0]] = e
                            room.marks[0] = min(room.marks[0] + 1, room.touched.size + 1)
                        flow[e] += amount
                        if flow[e] == capacity[e]:
                            back = d
                    else:
                        flow[e] -= amount
                        if flow[e] == 0:
                            back = d
                room.demand[node] -= amount
                if room.supply[player] < UNLIMITED:
                    room.supply[player] -= amount
                pushed += amount
                if pushed == limit or room.supply[player] == 0:
                    return pushed
                depth = back
                continue
        elif _advance(arrays, capacity, room, node, depth):
            depth += 1
            continue
        room.level[node] = 0
        if depth == 0:
            return pushed
        depth -= 1


@_njit
def augment(arrays, capacity, room, players, limit):
    """Adds to the flow until it is maximal for the supply and demand in `room`, or `limit` is reached.

    Returns:
        What was added. Unless the limit was reached, `room.level` marks the nodes that still reach the
        target: their complement is the player side of a minimum cut.
    """
    total = 0
    while total < limit:
        nearest = _levels(arrays, capacity, room)
        if nearest == 0:
            break
        room.arc_set[:] = 0
        room.arc_at[:] = 0
        for i in range(players.size):
            player = players[i]
            if room.level[player] == nearest and room.supply[player] > 0:
                total += _block(arrays, capacity, room, player, limit - total)
                if total == limit:
                    break
    return total


@_njit
def reach(arrays, capacity, room, players):
    """Marks in `room.level` every node that players with supply left reach in the residual network."""
    _nothing_seen(arrays, room)
    flow, start = room.flow, arrays.start
    head = tail = 0
    for i in range(players.size):
        player = players[i]
        if room.supply[player] > 0 and room.level[player] == 0:
            _see(arrays, room, player, 1)
            room.queue[tail] = player
            tail += 1
    while head < tail:
        node = room.queue[head]
        head += 1
        g = arrays.group[node]
        at = node - start[g]
        for s in range(arrays.out_start[g], arrays.out_start[g + 1]):
            b = arrays.out_set[s]
            other_group = arrays.target[b]
            first = start[other_group]
            if arrays.kind[b] == DENSE:
                base = arrays.base[b] + at * arrays.cols[b]
                i = first
                while i < first + room.left[other_group]:
                    other = room.unseen[i]
                    e = base + other - first
                    if capacity[e] > flow[e]:
                        _see(arrays, room, other, 1)
                        room.queue[tail] = other
                        tail += 1
                    else:
                        i += 1
            else:
                k = at - arrays.first[b]
                if 0 <= k < arrays.size[b]:
                    other, e = first + at + arrays.shift[b], arrays.base[b] + k
                    if room.level[other] == 0 and capacity[e] > flow[e]:
                        _see(arrays, room, other, 1)
                        room.queue[tail] = other
                        tail += 1
        for s in range(arrays.in_start[g], arrays.in_start[g + 1]):
            b = arrays.in_set[s]
            other_group = arrays.source[b]
            first = start[other_group]
            if arrays.kind[b] == DENSE:
                base, cols = arrays.base[b] + at, arrays.cols[b]
                i = first
                while i < first + room.left[other_group]:
                    other = room.unseen[i]
                    if flow[base + (other - first) * cols] > 0:
                        _see(arrays, room, other, 1)
                        room.queue[tail] = other
                        tail += 1
                    else:
                        i += 1
            else:
                k = at - arrays.shift[b] - arrays.first[b]
                if 0 <= k < arrays.size[b]:
                    other, e = first + at - arrays.shift[b], arrays.base[b] + k
                    if room.level[other] == 0 and flow[e] > 0:
                        _see(arrays, room, other, 1)
                        room.queue[tail] = other
                        tail += 1


@_njit
def cut_by_layer(arrays, capacity, room, demands, by_layer):
    """Sums the capacity that leaves the nodes marked by `reach`, per layer index.

    Args:
        demands: what each node could send to the target before any flow.
        by_layer: `[layers + 2]`, overwritten: 0 edges of no layer, then the layers, last the target's
            own weights.

    Returns:
        The cut's capacity.
    """
    by_layer[:] = 0
    start = arrays.start
    for b in range(arrays.source.size):
        g, h = arrays.source[b], arrays.target[b]
        first, second = start[g], start[h]
        if arrays.kind[b] == DENSE:
            for i in range(first + room.left[g], start[g + 1]):
                row = arrays.base[b] + (room.unseen[i] - first) * arrays.cols[b]
                for j in range(second, second + room.left[h]):
                    by_layer[arrays.layer[b]] += capacity[row + room.unseen[j] - second]
        else:
            for k in range(arrays.size[b]):
                at = arrays.first[b] + k
                if room.level[first + at] > 0 and room.level[second + at + arrays.shift[b]] == 0:
                    by_layer[arrays.layer[b]] += capacity[arrays.base[b] + k]
    for node in range(demands.size):
        if demands[node] > 0 and room.level[node] > 0:
            by_layer[by_layer.size - 1] += demands[node]
    return by_layer.sum()


@_njit
def reset(arrays, room, demands):
    """Starts over: no flow, no supply, the target's full demand."""
    clear(room)
    room.supply[:] = 0
    room.demand[:] = demands


@_njit
def singles(arrays, capacity, room, demands, member_start, members, chosen, by_layer, units, bottleneck):
    """Solves v({j}) for each chosen player, with its nearest minimum cut.

    Args:
        member_start: `[players + 1]`, into `members`.
        members: input nodes of each player.
        chosen: players to solve.
        by_layer: scratch, see `cut_by_layer`.
        units: `[players]`, filled with v({j}).
        bottleneck: `[players]`, filled with the layer holding most of the cut, 0 if v({j}) = 0.

    Returns:
        -1, or the first player whose cut does not equal its flow.
    """
    for c in range(chosen.size):
        j = chosen[c]
        own = members[member_start[j] : member_start[j + 1]]
        reset(arrays, room, demands)
        for i in range(own.size):
            room.supply[own[i]] = UNLIMITED
        units[j] = augment(arrays, capacity, room, own, UNLIMITED)
        reach(arrays, capacity, room, own)
        if cut_by_layer(arrays, capacity, room, demands, by_layer) != units[j]:
            return j
        bottleneck[j] = by_layer.argmax() if units[j] > 0 else 0
    return -1


@_njit
def coalition(arrays, capacity, room, demands, member_start, members, chosen, limit):
    """Solves v(S) for the chosen players from scratch, stopping at `limit`."""
    reset(arrays, room, demands)
    size = 0
    for c in range(chosen.size):
        size += member_start[chosen[c] + 1] - member_start[chosen[c]]
    nodes = np.empty(size, dtype=np.int64)
    size = 0
    for c in range(chosen.size):
        for i in range(member_start[chosen[c]], member_start[chosen[c] + 1]):
            nodes[size] = members[i]
            room.supply[members[i]] = UNLIMITED
            size += 1
    return augment(arrays, capacity, room, nodes, limit)


@_njit
def without(arrays, capacity, room, demands, member_start, members, chosen, grand, units):
    """Solves v(N minus j) for each chosen player into `units`; `grand` is v(N), where it may stop."""
    players = member_start.size - 1
    others = np.empty(players - 1, dtype=np.int64)
    for c in range(chosen.size):
        j = chosen[c]
        for i in range(players - 1):
            others[i] = i if i < j else i + 1
        units[j] = coalition(arrays, capacity, room, demands, member_start, members, others, grand)


@_njit
def subsets(arrays, capacity, room, demands, member_start, members, first, last, grand, units):
    """Solves v(S) for the coalitions numbered first to last - 1 (bit j of the number: j is in S)."""
    players = member_start.size - 1
    chosen = np.empty(players, dtype=np.int64)
    for number in range(first, last):
        size = 0
        for j in range(players):
            if number >> j & 1:
                chosen[size] = j
                size += 1
        units[number] = coalition(
            arrays, capacity, room, demands, member_start, members, chosen[:size], grand
        )


@_njit
def orders(arrays, capacity, room, demands, member_start, members, order, grand, marginal):
    """Lets players join one at a time in each given order and records what each one adds.

    After a search that finds no supply, `room.level` holds every node that can still reach the target.
    Flow added later never passes a node outside, so such a node stays dead for the rest of the order:
    a player all of whose nodes are dead adds nothing, without any search.

    Args:
        order: `[orders, players]`.
        grand: v(N), where an order may stop.
        marginal: `[orders, players]`, filled per player (not per place in the order).
    """
    alive = np.empty(arrays.group.size, dtype=np.bool_)
    for o in range(order.shape[0]):
        reset(arrays, room, demands)
        alive[:] = True
        total = 0
        marginal[o, :] = 0
        for place in range(order.shape[1]):
            j = order[o, place]
            own = members[member_start[j] : member_start[j + 1]]
            hope = False
            for i in range(own.size):
                if alive[own[i]]:
                    hope = True
                    room.supply[own[i]] = UNLIMITED
            if not hope:
                continue
            gained = augment(arrays, capacity, room, own, grand - total)
            marginal[o, j] = gained
            total += gained
            if total == grand:
                break
            # the last search failed: what it did not see is dead
            for node in range(alive.size):
                alive[node] = room.level[node] > 0
            for i in range(own.size):
                room.supply[own[i]] = 0


@_njit
def endless(arrays, capacity, nodes):
    """Returns the mask of nodes that `nodes` reach over infinite edges alone."""
    seen = np.zeros(arrays.group.size, dtype=np.bool_)
    queue = np.empty(arrays.group.size, dtype=np.int64)
    head = tail = 0
    for i in range(nodes.size):
        if not seen[nodes[i]]:
            seen[nodes[i]] = True
            queue[tail] = nodes[i]
            tail += 1
    while head < tail:
        node = queue[head]
        head += 1
        g = arrays.group[node]
        at = node - arrays.start[g]
        for s in range(arrays.out_start[g], arrays.out_start[g + 1]):
            b = arrays.out_set[s]
            first = arrays.start[arrays.target[b]]
            if arrays.kind[b] == DENSE:
                row = arrays.base[b] + at * arrays.cols[b]
                for i in range(arrays.cols[b]):
                    if capacity[row + i] >= INFINITE and not seen[first + i]:
                        seen[first + i] = True
                        queue[tail] = first + i
                        tail += 1
            else:
                k = at - arrays.first[b]
                if 0 <= k < arrays.size[b] and capacity[arrays.base[b] + k] >= INFINITE:
                    other = first + at + arrays.shift[b]
                    if not seen[other]:
                        seen[other] = True
                        queue[tail] = other
                        tail += 1
    return seen


@_njit
def outgoing(arrays, capacity):
    """Returns the capacity that leaves each node, INFINITE if any of its edges is infinite."""
    total = np.zeros(arrays.group.size, dtype=np.int64)
    for b in range(arrays.source.size):
        first = arrays.start[arrays.source[b]]
        for k in range(arrays.size[b]):
            node = first + (k if arrays.kind[b] == DENSE else arrays.first[b] + k)
            for i in range(arrays.cols[b]):
                units = capacity[arrays.base[b] + k * arrays.cols[b] + i]
                total[node] = INFINITE if units >= INFINITE else min(INFINITE, total[node] + units)
    return total
