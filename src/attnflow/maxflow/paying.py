"""What a player brings, and how what is owed is paid with it before any search.

Units are paid along the stream of the node that they come to. What is left there is spread over the edges that leave
its stream, to what is owed along the streams that these enter; and where much of it still lies at one node, over the
edges of these in turn. Amounts travel whole, and the far end of an edge asks before anything is sent, so that nothing
needs to be taken back.
"""

from __future__ import annotations

import numpy as np

from attnflow.maxflow.desk import (
    ALIVE,
    BITS_NOW,
    CHAIN,
    DEBT,
    DEEPEST,
    ENTRIES_LEFT,
    FULL,
    LOG,
    LOGGED,
    MARKS,
    META,
    MOST_LOGGED,
    MOST_PAGES,
    OWED,
    PAGED,
    PAGES,
    PAGES_LEFT,
    POOL,
    SINK,
    SOURCES,
    STATE,
    SUPPLY,
)
from attnflow.maxflow.graph import (
    INFINITE,
)
from attnflow.maxflow.loops import (
    bit_of,
    get,
    get_double,
    inlined,
    inner,
    lowest,
    put,
)
from attnflow.maxflow.net import (
    AFTER,
    ALONG,
    AT,
    BASE,
    BEFORE,
    BITS,
    BY_KEY,
    CAPACITY,
    FIRST,
    GROUP,
    GROUP_COUNT,
    GROUPS,
    IN,
    KEYS,
    NARROW,
    NODES,
    OUT,
    OUT_END,
    QUERY_WORDS,
    SCALE,
    START,
    THERE,
    WAYS,
    WORD_COUNT,
    WORDS,
    has,
    remove,
    units_of,
)
from attnflow.maxflow.residual import (
    room_of,
    send,
    send_on_column,
    send_on_row,
)

#: Who has less than 2^-FAR of what is left does not spread it farther than one edge.
FAR = 3
#: Streams have paid little if this many times as much is left.
LITTLE = 5


@inlined
def _room_along(nodes, along, state, start, end, most):
    """How much more the streams from one node to a later one of its position can carry."""
    room = most
    while end != start:
        room = min(room, get(along, end) - get(state, 4 * end + CHAIN))
        end = get(nodes, 8 * end + BEFORE)
    return room


@inlined
def _carry(nodes, state, start, end, amount):
    """Adds to the flow of the streams from one node to a later one of its position."""
    while end != start:
        put(state, 4 * end + CHAIN, get(state, 4 * end + CHAIN) + amount)
        end = get(nodes, 8 * end + BEFORE)


@inner
def _along(net, desk, start, most):
    """Sends up to so much from a node along its stream to what is owed there, nearest first; returns what it sent."""
    nodes, along, words = get(net, NODES), get(net, ALONG), get(net, WORD_COUNT)
    state, marks, deepest = get(desk, STATE), get(desk, MARKS), get(get(desk, META), DEEPEST)
    node, room, total = start, most, np.int64(0)
    while True:
        owed = get(state, 4 * node + DEBT)
        if owed > 0:
            amount = min(owed, room)
            if owed < INFINITE:
                put(state, 4 * node + DEBT, owed - amount)
                if owed == amount:
                    remove(marks, OWED * words, nodes, node)
            _carry(nodes, state, start, node, amount)
            room -= amount
            total += amount
        if room == 0 or get(nodes, 8 * node + GROUP) >= deepest:
            break
        node = get(nodes, 8 * node + AFTER)
        if node < 0 or node == start or not has(marks, ALIVE * words, nodes, node):
            break
        room = min(room, get(along, node) - get(state, 4 * node + CHAIN))
        if room <= 0:
            break
    return total


@inlined
def _bring(net, desk, count, node, units, paying):
    """Gives a node something to send, after it has paid; returns how many sources there are, and what it paid."""
    state, paid = get(desk, STATE), np.int64(0)
    if paying != 0:
        paid = _along(net, desk, node, units)
        if units < INFINITE:
            units -= paid
    if units > 0:
        have = get(state, 4 * node + SUPPLY)
        if have == 0:
            put(get(desk, SOURCES), count, node)
            count += 1
        put(state, 4 * node + SUPPLY, have + min(units, INFINITE - have))
    return count, paid


@inner
def supply(net, desk, members, count, paying):
    """Gives nodes what the edges of a player can bring them.

    Args:
        net, desk: the network and its scratch.
        members: the player's nodes.
        count: number of `sources` there are already.
        paying: 1 to pay first what is owed along a node's stream.

    Returns:
        How many sources there are, and what was paid or goes straight to the sink.
    """
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    marks, alive, there = get(desk, MARKS), ALIVE * get(net, WORD_COUNT), get(net, THERE)
    sink = get(get(desk, META), SINK)  # if there is one, a player's whole streams are the player
    total = np.int64(0)
    for i in range(members.size):
        node = get(members, i)
        early, at, after = (
            get(nodes, 8 * node + GROUP),
            get(nodes, 8 * node + AT),
            get(nodes, 8 * node + AFTER),
        )
        if after >= 0 and (sink < 0 or at == sink):
            units = get(along, after)
            if sink >= 0:
                total += units
            elif units > 0 and has(marks, alive, nodes, after):
                count, paid = _bring(net, desk, count, after, units, paying)
                total += paid
        late = get(net, GROUP_COUNT) - 2 if sink >= 0 and at != sink else early
        for g in range(late, early - 1, -1):  # what is brought late has the fewest ways on
            for way in range(get(groups, 8 * g + OUT), get(groups, 8 * g + OUT_END)):
                row = 16 * way
                here = get(ways, row + BY_KEY) + 2 * at * get(ways, row + QUERY_WORDS)
                start, keys = get(ways, row + BASE) + at, get(ways, row + KEYS)
                for w in range(get(ways, row + QUERY_WORDS)):
                    wanted = get(marks, alive + get(ways, row + BITS) + w)
                    if sink >> 6 == w:
                        wanted |= bit_of(sink)
                    left = get(there, here + 2 * w) & wanted
                    while left != 0:
                        q = (w << 6) + lowest(left)
                        left &= left - 1
                        units = units_of(capacity, narrow, start + q * keys, scale)
                        if q == sink:
                            total += units
                        else:
                            count, paid = _bring(net, desk, count, get(ways, row + FIRST) + q, units, paying)
                            total += paid
    return count, total


@inner
def _spread_near(net, desk, node, have):
    """Sends what a node has over edges that leave its stream, and along the streams that these enter.

    Late edges go first, for few debts can be paid over them.

    Args:
        net, desk: the network, one stack of layers, and its scratch.
        node: the node.
        have: how much it has.

    Returns:
        What it sent, or FULL.
    """
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    state, marks, meta, words = get(desk, STATE), get(desk, MARKS), get(desk, META), get(net, WORD_COUNT)
    bits, pages, pool, log = get(desk, BITS_NOW), get(desk, PAGED), get(desk, POOL), get(desk, LOG)
    most_logged, most_pages = get(meta, MOST_LOGGED) - ENTRIES_LEFT, get(meta, MOST_PAGES) - PAGES_LEFT
    early, i = get(nodes, 8 * node + GROUP), get(nodes, 8 * node + AT)
    last = min(get(meta, DEEPEST), get(net, GROUP_COUNT) - 1)
    total = np.int64(0)
    for g in range(last, early, -1):
        row = 16 * get(groups, 8 * g + IN)
        own, first = get(ways, row + FIRST) + i, get(groups, 8 * g + START)
        room = _room_along(nodes, along, state, node, own, have - total)
        before = room
        for w in range(get(ways, row + QUERY_WORDS)):
            by_key = get(ways, row + BY_KEY) + 2 * (i * get(ways, row + QUERY_WORDS) + w)
            left, sending, filled = np.int64(0), np.int64(0), np.int64(0)
            for h in range(g, last + 1):
                left |= get(marks, OWED * words + get(groups, 8 * h + WORDS) + w)
            left &= get(bits, by_key) & get(marks, ALIVE * words + get(groups, 8 * g + WORDS) + w)
            while left != 0 and room > 0:
                q = (w << 6) + lowest(left)
                left &= left - 1
                edge, by_query, units = room_of(ways, row, capacity, narrow, scale, bits, pages, pool, q, i)
                amount = _along(net, desk, first + q, min(room, units))
                if amount > 0:
                    if get(meta, LOGGED) > most_logged or get(meta, PAGES) > most_pages:
                        return FULL
                    send_on_row(pages, pool, bits, log, meta, by_query, i, edge, units, amount)
                    sending |= bit_of(q)
                    if amount == units:
                        filled |= bit_of(q)
                    room -= amount
            if sending != 0:
                send_on_column(bits, log, meta, by_key, sending, filled)
        _carry(nodes, state, node, own, before - room)
        total += before - room
        if total == have:
            break
    return total


@inner
def _spread_far(net, desk, node, have):
    """As `_spread_near`, over the edges that leave the streams which these edges enter."""
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    state, marks, meta, words = get(desk, STATE), get(desk, MARKS), get(desk, META), get(net, WORD_COUNT)
    bits, pages, pool, log = get(desk, BITS_NOW), get(desk, PAGED), get(desk, POOL), get(desk, LOG)
    early, i = get(nodes, 8 * node + GROUP), get(nodes, 8 * node + AT)
    last = min(get(meta, DEEPEST), get(net, GROUP_COUNT) - 1)
    total = np.int64(0)
    for g in range(last - 1, early, -1):
        row = 16 * get(groups, 8 * g + IN)
        own = get(ways, row + FIRST) + i
        room = _room_along(nodes, along, state, node, own, have - total)
        before = room
        for w in range(get(ways, row + QUERY_WORDS)):
            by_key = get(ways, row + BY_KEY) + 2 * (i * get(ways, row + QUERY_WORDS) + w)
            left = get(bits, by_key) & get(marks, ALIVE * words + get(groups, 8 * g + WORDS) + w)
            while left != 0 and room > 0:
                q = (w << 6) + lowest(left)
                left &= left - 1
                edge, by_query, units = room_of(ways, row, capacity, narrow, scale, bits, pages, pool, q, i)
                amount = _spread_near(net, desk, get(groups, 8 * g + START) + q, min(room, units))
                if amount == FULL:
                    return FULL
                if amount > 0:  # the edge after this one was sure of place for both
                    send(pages, pool, bits, log, meta, by_query, by_key, q, i, edge, units, amount)
                    room -= amount
        _carry(nodes, state, node, own, before - room)
        total += before - room
        if total == have:
            break
    return total


@inner
def spread(net, desk, count, paid):
    """Spreads what sources have, and then farther what much of the rest lies at; returns what it sent, or FULL.

    Where streams have paid little, `paid`, they are no way to spread over, and nothing is.
    """
    state, sources = get(desk, STATE), get(desk, SOURCES)
    total = np.int64(0)
    for far in range(2):
        left = np.int64(0)
        for place in range(count):
            left += min(get(state, 4 * get(sources, place) + SUPPLY), INFINITE - left)
        if left // LITTLE > paid:
            break
        least = left >> FAR if far == 1 else np.int64(0)
        for place in range(count):
            node = get(sources, place)
            have = get(state, 4 * node + SUPPLY)
            if have > least:
                amount = (
                    _spread_far(net, desk, node, have) if far == 1 else _spread_near(net, desk, node, have)
                )
                if amount == FULL:
                    return FULL
                total += amount
                if have < INFINITE:
                    put(state, 4 * node + SUPPLY, have - amount)
    return total
