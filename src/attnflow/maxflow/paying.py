"""What a player brings, and how what is owed is paid with it before any search.

Units are paid along the stream of the node that they come to, on all streams at once. What is left there is spread
over the edges that leave its stream, to what is owed along the streams that these enter; and where much of it still
lies at one node, over the edges of these in turn. Amounts travel whole, and the far end of an edge asks before
anything is sent, so that nothing needs to be taken back.
"""

from __future__ import annotations

import numpy as np

from attnflow.maxflow.desk import (
    ALIVE,
    BITS_NOW,
    CHAINS,
    DEBTS,
    DEEPEST,
    ENTRIES_LEFT,
    FULL,
    HELD,
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
    PAYABLE,
    POOL,
    SINK,
    SOURCES,
    STACK,
)
from attnflow.maxflow.graph import (
    INFINITE,
)
from attnflow.maxflow.loops import (
    apart,
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
    COUNT,
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

#: Who has no more than 2^-FAR of what is left has little, and does not spread it farther than one edge.
FAR = 4
#: Streams have paid little if this many times as much is left.
LITTLE = 5


@inlined
def _room_along(nodes, along, chains, start, end, most):
    """How much more the streams from one node to a later one of its position can carry."""
    room = most
    while end != start:
        room = min(room, get(along, end) - get(chains, end))
        end = get(nodes, 8 * end + BEFORE)
    return room


@inlined
def _carry(nodes, chains, start, end, amount):
    """Adds to the flow of the streams from one node to a later one of its position."""
    while end != start:
        put(chains, end, get(chains, end) + amount)
        end = get(nodes, 8 * end + BEFORE)


@apart
def _along(net, desk, start, most):
    """Sends up to so much from a node along its stream to what is owed there, nearest first; returns what it sent."""
    nodes, along, words = get(net, NODES), get(net, ALONG), get(net, WORD_COUNT)
    debts, chains = get(desk, DEBTS), get(desk, CHAINS)
    marks, deepest = get(desk, MARKS), get(get(desk, META), DEEPEST)
    node, room, total = start, most, np.int64(0)
    while True:
        owed = get(debts, node)
        if owed > 0:
            amount = min(owed, room)
            if owed < INFINITE:
                put(debts, node, owed - amount)
                if owed == amount:
                    remove(marks, OWED * words, nodes, node)
            _carry(nodes, chains, start, node, amount)
            room -= amount
            total += amount
        if room == 0 or get(nodes, 8 * node + GROUP) >= deepest:
            break
        node = get(nodes, 8 * node + AFTER)
        if node < 0 or not has(marks, ALIVE * words, nodes, node):
            break
        room = min(room, get(along, node) - get(chains, node))
        if room <= 0:
            break
    return total


@inlined
def _bring(held, sources, count, node, units):
    """Gives a node something to send; returns how many sources there are."""
    have = get(held, node)
    if have == 0 and units > 0:
        put(sources, count, node)
        count += 1
    put(held, node, have + min(units, INFINITE - have))
    return count


@inner
def supply(net, desk, members, count):
    """Gives nodes what the edges of a player can bring them.

    Args:
        net, desk: the network and its scratch.
        members: the player's nodes.
        count: number of `sources` there are already.

    Returns:
        How many sources there are, and what goes straight to the sink.
    """
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    marks, alive, there = get(desk, MARKS), ALIVE * get(net, WORD_COUNT), get(net, THERE)
    held, sources = get(desk, HELD), get(desk, SOURCES)
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
                count = _bring(held, sources, count, after, units)
        late = get(net, GROUP_COUNT) - 2 if sink >= 0 and at != sink else early
        for g in range(early, late + 1):
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
                            count = _bring(held, sources, count, get(ways, row + FIRST) + q, units)
    return count, total


@inner
def pay(net, desk):
    """Pays what is owed along each position's stream with what was brought to it, as much as can be paid.

    The first loop finds how much, from the last group back; the second carries it to the nearest debts. Positions are
    independent, and the compiler can do many of them at a time.

    Args:
        net, desk: the network, one stack of layers, and its scratch.

    Returns:
        How many sources are left, listed anew, and what was paid.
    """
    groups, along, words = get(net, GROUPS), get(net, ALONG), get(net, WORD_COUNT)
    held, debts, chains = get(desk, HELD), get(desk, DEBTS), get(desk, CHAINS)
    marks, sources, scratch = get(desk, MARKS), get(desk, SOURCES), get(desk, STACK)
    last, size = get(get(desk, META), DEEPEST), get(groups, COUNT)
    # by position, what later debts can take and then what is carried on; by node, what is paid with what was brought
    passing, paid = scratch, scratch + 8 * size  # bytes
    total = np.int64(0)
    for at in range(size):
        put(passing, at, 0)
    for g in range(last, 0, -1):
        start = g * size
        for node in range(start, start + size):
            owed, have = get(debts, node), get(held, node)
            most = owed + min(get(passing, node - start), INFINITE - owed)
            amount = min(have, most)
            put(paid, node, amount)
            put(held, node, have - amount if have < INFINITE else have)
            put(passing, node - start, min(most - amount, get(along, node) - get(chains, node)))
            total += amount
    for at in range(size):
        put(passing, at, 0)
    for g in range(1, last + 1):
        start = g * size
        for node in range(start, start + size):
            carried, owed = get(passing, node - start), get(debts, node)
            put(chains, node, get(chains, node) + carried)
            carried += get(paid, node)
            amount = min(carried, owed)
            put(debts, node, owed - amount if owed < INFINITE else owed)
            put(passing, node - start, carried - amount)
    count, wide = np.int64(0), (size + 63) >> 6
    for g in range(get(net, GROUP_COUNT) - 1, 0, -1):
        first = get(groups, 8 * g + WORDS)
        for w in range(wide):
            start, owing, left = g * size + (w << 6), np.int64(0), np.int64(0)
            for at in range(min(64, size - (w << 6))):
                owing |= np.int64(get(debts, start + at) > 0) << at
                left |= np.int64(get(held, start + at) > 0) << at
            put(marks, OWED * words + first + w, owing)
            while left != 0:
                put(sources, count, start + lowest(left))
                left &= left - 1
                count += 1
    return count, total


@inlined
def _find_payable(net, desk):
    """Marks nodes from which something owed may be reached along streams; returns 0 if there are none."""
    groups, marks, words = get(net, GROUPS), get(desk, MARKS), get(net, WORD_COUNT)
    last, wide = get(get(desk, META), DEEPEST), (get(groups, COUNT) + 63) >> 6
    some = np.int64(0)
    for g in range(last, 0, -1):
        for w in range(get(groups, 8 * g + WORDS), get(groups, 8 * g + WORDS) + wide):
            found = get(marks, OWED * words + w)
            if g < last:
                found |= get(marks, PAYABLE * words + w + wide)
            found &= get(marks, ALIVE * words + w)
            put(marks, PAYABLE * words + w, found)
            some |= found
    return some


@apart
def _spread_near(net, desk, node, have, up):
    """Sends what a node has over edges that leave its stream, and along the streams that these enter.

    Late edges go first, for few debts can be paid over them; or early ones, which lead to the most debts, so that few
    are looked at.

    Args:
        net, desk: the network, one stack of layers, and its scratch.
        node: the node.
        have: how much it has.
        up: not 0 if early edges go first.

    Returns:
        What it sent, or FULL.
    """
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    debts, chains, marks = get(desk, DEBTS), get(desk, CHAINS), get(desk, MARKS)
    meta, words = get(desk, META), get(net, WORD_COUNT)
    bits, pages, pool, log = get(desk, BITS_NOW), get(desk, PAGED), get(desk, POOL), get(desk, LOG)
    most_logged, most_pages = get(meta, MOST_LOGGED) - ENTRIES_LEFT, get(meta, MOST_PAGES) - PAGES_LEFT
    early, i = get(nodes, 8 * node + GROUP), get(nodes, 8 * node + AT)
    last = get(meta, DEEPEST)
    # how much more the stream can carry to each group: nobody else sends along it meanwhile
    rooms, room, own = get(desk, STACK), have, node
    for g in range(early, last):
        put(rooms, g, room)
        own = get(nodes, 8 * own + AFTER)
        room = min(room, get(along, own) - get(chains, own))
    total = np.int64(0)
    for turn in range(last - early):
        g = early + 1 + turn if up != 0 else last - turn
        row = 16 * get(groups, 8 * g + IN)
        first, payable = get(groups, 8 * g + START), PAYABLE * words + get(groups, 8 * g + WORDS)
        room = get(rooms, g - 1) - total
        before = room
        for w in range(get(ways, row + QUERY_WORDS)):
            by_key = get(ways, row + BY_KEY) + 2 * (i * get(ways, row + QUERY_WORDS) + w)
            left = get(bits, by_key) & get(marks, payable + w)
            sending, filled = np.int64(0), np.int64(0)
            while left != 0 and room > 0:
                q = (w << 6) + lowest(left)
                left &= left - 1
                edge, by_query, units = room_of(ways, row, capacity, narrow, scale, bits, pages, pool, q, i)
                asked = min(room, units)
                owed = get(debts, first + q)
                if owed > asked:  # as in `_along`, which takes longer to be called
                    amount = asked
                    put(debts, first + q, owed - asked if owed < INFINITE else owed)
                else:
                    amount = _along(net, desk, first + q, asked)
                    if amount < asked:
                        put(marks, payable + w, get(marks, payable + w) & ~bit_of(q))
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
        if room < before:
            _carry(nodes, chains, node, get(ways, row + FIRST) + i, before - room)
            total += before - room
            if total == have:
                break
    return total


@inner
def _spread_far(net, desk, node, have):
    """As `_spread_near`, over the edges that leave the streams which these edges enter."""
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    chains, marks, meta, words = get(desk, CHAINS), get(desk, MARKS), get(desk, META), get(net, WORD_COUNT)
    bits, pages, pool, log = get(desk, BITS_NOW), get(desk, PAGED), get(desk, POOL), get(desk, LOG)
    early, i = get(nodes, 8 * node + GROUP), get(nodes, 8 * node + AT)
    last = get(meta, DEEPEST)
    total = np.int64(0)
    for g in range(last - 1, early, -1):
        row = 16 * get(groups, 8 * g + IN)
        own = get(ways, row + FIRST) + i
        room = _room_along(nodes, along, chains, node, own, have - total)
        before = room
        for w in range(get(ways, row + QUERY_WORDS)):
            by_key = get(ways, row + BY_KEY) + 2 * (i * get(ways, row + QUERY_WORDS) + w)
            left = get(bits, by_key) & get(marks, ALIVE * words + get(groups, 8 * g + WORDS) + w)
            while left != 0 and room > 0:
                q = (w << 6) + lowest(left)
                left &= left - 1
                edge, by_query, units = room_of(ways, row, capacity, narrow, scale, bits, pages, pool, q, i)
                amount = _spread_near(net, desk, get(groups, 8 * g + START) + q, min(room, units), 0)
                if amount == FULL:
                    return FULL
                if amount > 0:  # the edge after this one was sure of place for both
                    send(pages, pool, bits, log, meta, by_query, by_key, q, i, edge, units, amount)
                    room -= amount
        _carry(nodes, chains, node, own, before - room)
        total += before - room
        if total == have:
            break
    return total


@apart
def spread(net, desk, count, paid):
    """Spreads what sources have, and then farther what much of the rest lies at; returns what it sent, or FULL.

    Where streams have paid little, `paid`, they are no way to spread over, and nothing is. Where they are open, early
    edges lose nothing, and who has little takes them first.
    """
    held, sources, open_ = get(desk, HELD), get(desk, SOURCES), get(get(desk, META), SINK) >= 0
    total = np.int64(0)
    for far in range(2):
        left = np.int64(0)
        for place in range(count):
            left += min(get(held, get(sources, place)), INFINITE - left)
        if left == 0 or left // LITTLE > paid or _find_payable(net, desk) == 0:
            break
        most = left >> FAR
        for place in range(count):
            node = get(sources, place)
            have = get(held, node)
            if have > 0 and (far == 0 or have > most):
                if far == 1:
                    amount = _spread_far(net, desk, node, have)
                else:
                    amount = _spread_near(net, desk, node, have, open_ and have <= most)
                if amount == FULL:
                    return FULL
                total += amount
                if have < INFINITE:
                    put(held, node, have - amount)
    return total
