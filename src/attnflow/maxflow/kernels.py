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
        skip: `[nodes]`, for a node without level a later one of its group to look at instead.
        low: `[groups]`, least level in the group.
        high: `[groups]`, largest level in the group, 0 if no node has one.
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
    skip: Ints
    low: Ints
    high: Ints
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
        skip=per_node(),
        low=np.zeros(arrays.start.size - 1, dtype=np.int64),
        high=np.zeros(arrays.start.size - 1, dtype=np.int64),
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
def _see(level, unseen, slot, left, start, g, node, value):
    """Gives a node of group g its level and swaps it out of the group's unseen list."""
    level[node] = value
    left[g] -= 1
    last = start[g] + left[g]
    at = slot[node]
    other = unseen[last]
    unseen[at] = other
    slot[other] = at
    unseen[last] = node
    slot[node] = last


@_njit
def _levels(arrays, capacity, room):
    """Searches backwards from the target; returns the level of the nearest supply, 0 if none is left."""
    _nothing_seen(arrays, room)
    flow, level, queue, unseen, slot, left = (
        room.flow,
        room.level,
        room.queue,
        room.unseen,
        room.slot,
        room.left,
    )
    start, group, kind, source, target = arrays.start, arrays.group, arrays.kind, arrays.source, arrays.target
    in_start, in_set, out_start, out_set = arrays.in_start, arrays.in_set, arrays.out_start, arrays.out_set
    base_of, cols_of, link_first = arrays.base, arrays.cols, arrays.first
    shift, size = arrays.shift, arrays.size
    supply, demand = room.supply, room.demand
    head = tail = 0
    for node in range(group.size - 1, -1, -1):
        if demand[node] > 0:
            _see(level, unseen, slot, left, start, group[node], node, 1)
            queue[tail] = node
            tail += 1
    while head < tail:
        node = queue[head]
        head += 1
        g = group[node]
        at = node - start[g]
        above = level[node] + 1
        for s in range(in_start[g], in_start[g + 1]):
            b = in_set[s]
            other_group = source[b]
            if left[other_group] == 0:
                continue
            first = start[other_group]
            if kind[b] == DENSE:
                base, cols = base_of[b] + at, cols_of[b]
                i = first
                while i < first + left[other_group]:
                    other = unseen[i]
                    e = base + (other - first) * cols
                    if capacity[e] > flow[e]:
                        _see(level, unseen, slot, left, start, other_group, other, above)
                        queue[tail] = other
                        tail += 1
                        if supply[other] > 0:
                            return above
                    else:
                        i += 1
            else:
                k = at - shift[b] - link_first[b]
                if 0 <= k < size[b]:
                    other = first + at - shift[b]
                    e = base_of[b] + k
                    if level[other] == 0 and capacity[e] > flow[e]:
                        _see(level, unseen, slot, left, start, other_group, other, above)
                        queue[tail] = other
                        tail += 1
                        if supply[other] > 0:
                            return above
        for s in range(out_start[g], out_start[g + 1]):
            b = out_set[s]
            other_group = target[b]
            if left[other_group] == 0:
                continue
            first = start[other_group]
            if kind[b] == DENSE:
                base = base_of[b] + at * cols_of[b]
                i = first
                while i < first + left[other_group]:
                    other = unseen[i]
                    if flow[base + other - first] > 0:
                        _see(level, unseen, slot, left, start, other_group, other, above)
                        queue[tail] = other
                        tail += 1
                        if supply[other] > 0:
                            return above
                    else:
                        i += 1
            else:
                k = at - link_first[b]
                if 0 <= k < size[b]:
                    other = first + at + shift[b]
                    if level[other] == 0 and flow[base_of[b] + k] > 0:
                        _see(level, unseen, slot, left, start, other_group, other, above)
                        queue[tail] = other
                        tail += 1
                        if supply[other] > 0:
                            return above
    return 0


@_njit
def _prepare(arrays, room):
    """Readies the search for paths: arcs rewound, nodes without a level skipped over."""
    room.arc_set[:] = 0
    room.arc_at[:] = 0
    for g in range(room.left.size):
        room.low[g] = room.high[g] = 0
        if room.left[g] == arrays.start[g + 1] - arrays.start[g]:
            continue
        after = arrays.start[g + 1]
        for node in range(arrays.start[g + 1] - 1, arrays.start[g] - 1, -1):
            room.skip[node] = after
            level = room.level[node]
            if level > 0:
                after = node
                room.high[g] = max(room.high[g], level)
                room.low[g] = level if room.low[g] == 0 else min(room.low[g], level)


@_njit
def _alive(level, skip, node, end):
    """First node from `node` on that has a level, or `end`. Remembers the way for the next time."""
    found = node
    while found < end and level[found] == 0:
        found = skip[found]
    while node < found and level[node] == 0:
        following = skip[node]
        skip[node] = found
        node = following
    return found


@_njit
def _block(arrays, capacity, room, player, limit):
    """Pushes paths from one node along falling levels until none is left; returns what it pushed."""
    flow, level, supply, demand = room.flow, room.level, room.supply, room.demand
    path, along, stop, skip, low, high = room.path, room.along, room.stop, room.skip, room.low, room.high
    arc_set, arc_at, touched, marks = room.arc_set, room.arc_at, room.touched, room.marks
    start, group, kind, source, target = arrays.start, arrays.group, arrays.kind, arrays.source, arrays.target
    in_start, in_set, out_start, out_set = arrays.in_start, arrays.in_set, arrays.out_start, arrays.out_set
    base_of, cols_of, link_first = arrays.base, arrays.cols, arrays.first
    shift, size = arrays.shift, arrays.size
    pushed = 0
    depth = 0
    stop[0] = player
    while True:
        node = stop[depth]
        if level[node] == 1:
            if demand[node] > 0:
                amount = min(limit - pushed, supply[player], demand[node])
                for d in range(depth):
                    e = path[d]
                    amount = min(amount, capacity[e] - flow[e] if along[d] > 0 else flow[e])
                back = depth
                for d in range(depth - 1, -1, -1):
                    e = path[d]
                    if along[d] > 0:
                        if flow[e] == 0:
                            if marks[0] < touched.size:
                                touched[marks[0]] = e
                            marks[0] = min(marks[0] + 1, touched.size + 1)
                        flow[e] += amount
                        if flow[e] == capacity[e]:
                            back = d
                    else:
                        flow[e] -= amount
                        if flow[e] == 0:
                            back = d
                demand[node] -= amount
                if supply[player] < UNLIMITED:
                    supply[player] -= amount
                pushed += amount
                if pushed == limit or supply[player] == 0:
                    return pushed
                depth = back
                continue
        else:
            # Look for the next admissible arc: forwards with room left, or backwards along flow.
            g = group[node]
            at = node - start[g]
            wanted = level[node] - 1
            leaving = out_start[g + 1] - out_start[g]
            sets = leaving + in_start[g + 1] - in_start[g]
            s, i = arc_set[node], arc_at[node]
            following = -1
            while s < sets:
                forward = s < leaving
                b = out_set[out_start[g] + s] if forward else in_set[in_start[g] + s - leaving]
                other_group = target[b] if forward else source[b]
                if low[other_group] <= wanted <= high[other_group]:
                    first, end = start[other_group], start[other_group + 1]
                    if kind[b] == DENSE:
                        e = base_of[b] + (at * cols_of[b] if forward else at)
                        stride = 1 if forward else cols_of[b]
                        other = _alive(level, skip, first + i, end)
                        while other < end:
                            if level[other] == wanted:
                                edge = e + (other - first) * stride
                                if (capacity[edge] > flow[edge]) if forward else (flow[edge] > 0):
                                    following = other
                                    path[depth] = edge
                                    break
                            other = _alive(level, skip, other + 1, end)
                    elif i == 0:
                        moved = shift[b] if forward else -shift[b]
                        k = (at if forward else at + moved) - link_first[b]
                        if 0 <= k < size[b]:
                            edge = base_of[b] + k
                            if level[first + at + moved] == wanted and (
                                (capacity[edge] > flow[edge]) if forward else (flow[edge] > 0)
                            ):
                                following = first + at + moved
                                path[depth] = edge
                if following >= 0:
                    arc_set[node], arc_at[node] = s, following - first if kind[b] == DENSE else 0
                    along[depth] = 1 if forward else -1
                    stop[depth + 1] = following
                    break
                s += 1
                i = 0
            if following >= 0:
                depth += 1
                continue
            arc_set[node], arc_at[node] = s, 0
        level[node] = 0
        skip[node] = max(skip[node], node + 1)
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
        _prepare(arrays, room)
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
    flow, level, queue, unseen, slot, left = (
        room.flow,
        room.level,
        room.queue,
        room.unseen,
        room.slot,
        room.left,
    )
    start, group, kind, source, target = arrays.start, arrays.group, arrays.kind, arrays.source, arrays.target
    in_start, in_set, out_start, out_set = arrays.in_start, arrays.in_set, arrays.out_start, arrays.out_set
    base_of, cols_of, link_first = arrays.base, arrays.cols, arrays.first
    shift, size = arrays.shift, arrays.size
    supply = room.supply
    head = tail = 0
    for i in range(players.size):
        player = players[i]
        if supply[player] > 0 and level[player] == 0:
            _see(level, unseen, slot, left, start, group[player], player, 1)
            queue[tail] = player
            tail += 1
    while head < tail:
        node = queue[head]
        head += 1
        g = group[node]
        at = node - start[g]
        for s in range(out_start[g], out_start[g + 1]):
            b = out_set[s]
            other_group = target[b]
            first = start[other_group]
            if kind[b] == DENSE:
                base = base_of[b] + at * cols_of[b]
                i = first
                while i < first + left[other_group]:
                    other = unseen[i]
                    e = base + other - first
                    if capacity[e] > flow[e]:
                        _see(level, unseen, slot, left, start, other_group, other, 1)
                        queue[tail] = other
                        tail += 1
                    else:
                        i += 1
            else:
                k = at - link_first[b]
                if 0 <= k < size[b]:
                    other, e = first + at + shift[b], base_of[b] + k
                    if level[other] == 0 and capacity[e] > flow[e]:
                        _see(level, unseen, slot, left, start, other_group, other, 1)
                        queue[tail] = other
                        tail += 1
        for s in range(in_start[g], in_start[g + 1]):
            b = in_set[s]
            other_group = source[b]
            first = start[other_group]
            if kind[b] == DENSE:
                base, cols = base_of[b] + at, cols_of[b]
                i = first
                while i < first + left[other_group]:
                    other = unseen[i]
                    if flow[base + (other - first) * cols] > 0:
                        _see(level, unseen, slot, left, start, other_group, other, 1)
                        queue[tail] = other
                        tail += 1
                    else:
                        i += 1
            else:
                k = at - shift[b] - link_first[b]
                if 0 <= k < size[b]:
                    other, e = first + at - shift[b], base_of[b] + k
                    if level[other] == 0 and flow[e] > 0:
                        _see(level, unseen, slot, left, start, other_group, other, 1)
                        queue[tail] = other
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
    start, source, target, kind, layer = arrays.start, arrays.source, arrays.target, arrays.kind, arrays.layer
    level, unseen, left = room.level, room.unseen, room.left
    for b in range(source.size):
        g, h = source[b], target[b]
        first, second = start[g], start[h]
        base, total = arrays.base[b], 0
        if kind[b] == DENSE:
            cols = arrays.cols[b]
            for i in range(first + left[g], start[g + 1]):
                row = base + (unseen[i] - first) * cols - second
                for j in range(second, second + left[h]):
                    total += capacity[row + unseen[j]]
        else:
            at, moved = first + arrays.first[b], second + arrays.first[b] + arrays.shift[b]
            for k in range(arrays.size[b]):
                if level[at + k] > 0 and level[moved + k] == 0:
                    total += capacity[base + k]
        by_layer[layer[b]] += total
    for node in range(demands.size):
        if demands[node] > 0 and level[node] > 0:
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
def shares(arrays, capacity, room, demands, member_start, members, units):
    """Finds one maximum flow from all players; fills `units` with what each of them sends in it.

    Returns:
        v(N).
    """
    players = member_start.size - 1
    grand = coalition(arrays, capacity, room, demands, member_start, members, np.arange(players), UNLIMITED)
    flow, group, start = room.flow, arrays.group, arrays.start
    for j in range(players):
        units[j] = 0
        for i in range(member_start[j], member_start[j + 1]):
            g = group[members[i]]
            at = members[i] - start[g]
            for s in range(arrays.out_start[g], arrays.out_start[g + 1]):
                b = arrays.out_set[s]
                if arrays.kind[b] == DENSE:
                    row = arrays.base[b] + at * arrays.cols[b]
                    for k in range(arrays.cols[b]):
                        units[j] += flow[row + k]
                elif 0 <= at - arrays.first[b] < arrays.size[b]:
                    units[j] += flow[arrays.base[b] + at - arrays.first[b]]
    return grand


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
