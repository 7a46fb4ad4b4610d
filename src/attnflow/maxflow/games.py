"""Compiled games: what single players and coalitions can send to one target.

Players are stood for by their edges: the nodes these enter get what they can bring, and flow is made maximal from
there. Nothing of a player's own edges needs to be written down, for what is left at a node when no more can be sent
never gets anywhere later either.

Single players share work where a network is one stack of layers. All use the same network but for the edges that
leave themselves, so that a *base* flow is laid once: from a spread over the positions early on to the target. Where
it starts it is owed what it sends, and those debts are what a player has to pay. He pays along each stream first;
the rest goes by phases through the whole network, whose base flow may be taken back like any other. When nothing
more can be sent, what leaves the nodes that he still reaches is all used and nothing owed is among them, so that
what he sends equals a cut: taking back what is still owed changes nothing on his side of it. His flow is therefore
the maximum flow, and the nodes are the side of his nearest minimum cut.

Where the residual stream is infinite, the target's own stream is the sink, a player's is the source, and a step
along a stream costs no distance.
"""

from __future__ import annotations

import numpy as np

from attnflow.maxflow.desk import (
    ALIVE,
    AUGMENT,
    BASE_LOGGED,
    BASE_OWED,
    BASE_PAGES,
    BASES,
    BITS_NOW,
    CHAIN,
    DEBT,
    DEEPEST,
    ENTRIES_LEFT,
    FULL,
    HIGH_END,
    HINT,
    LOG,
    LOGGED,
    LOW_END,
    MARKS,
    META,
    MOST_LOGGED,
    MOST_PAGES,
    OWED,
    PAGED,
    PAGES,
    PAGES_LEFT,
    PLAYING,
    POOL,
    SINK,
    SOURCES,
    STATE,
    SUPPLY,
    UNSEEN,
    WIDE,
    restore,
)
from attnflow.maxflow.graph import INFINITE
from attnflow.maxflow.loops import (
    bit_of,
    call,
    entry,
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
    BY_QUERY,
    CAPACITY,
    FIRST,
    GROUP,
    GROUP_COUNT,
    GROUPS,
    IN,
    KEY_WORDS,
    KEYS,
    NARROW,
    NODE_COUNT,
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
    add,
    has,
    remove,
    units_of,
)
from attnflow.maxflow.phases import cut_of
from attnflow.maxflow.residual import flow_of, send, send_on_column, send_on_row

#: Who has less than 2^-FAR of what is left does not spread it farther than one edge.
FAR = 3


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
        if node < 0 or node == start or not has(marks, PLAYING * words, nodes, node):
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
def _supply(net, desk, members, count, paying):
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
def _spread(net, desk, node, have):
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
                edge = get(ways, row + BASE) + q * get(ways, row + KEYS) + i
                by_query = get(ways, row + BY_QUERY) + 2 * (q * get(ways, row + KEY_WORDS) + (i >> 6))
                units = units_of(capacity, narrow, edge, scale)
                if get(bits, by_query + 1) & bit_of(i) != 0:
                    units -= flow_of(pages, pool, bits, by_query, i, edge, units)
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
    """As `_spread`, over the edges that leave the streams which these edges enter."""
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
                edge = get(ways, row + BASE) + q * get(ways, row + KEYS) + i
                by_query = get(ways, row + BY_QUERY) + 2 * (q * get(ways, row + KEY_WORDS) + (i >> 6))
                units = units_of(capacity, narrow, edge, scale)
                if get(bits, by_query + 1) & bit_of(i) != 0:
                    units -= flow_of(pages, pool, bits, by_query, i, edge, units)
                amount = _spread(net, desk, get(groups, 8 * g + START) + q, min(room, units))
                if amount == FULL:
                    return FULL
                if amount > 0:
                    send(pages, pool, bits, log, meta, by_query, by_key, q, i, edge, units, amount)
                    room -= amount
        _carry(nodes, state, node, own, before - room)
        total += before - room
        if total == have:
            break
    return total


@inner
def _spread_all(net, desk, count):
    """Spreads what sources have, and then farther what much of the rest lies at; returns what it sent, or FULL."""
    state, sources = get(desk, STATE), get(desk, SOURCES)
    total, least = np.int64(0), np.int64(0)
    for far in range(2):
        for place in range(count):
            node = get(sources, place)
            have = get(state, 4 * node + SUPPLY)
            if have > least:
                amount = _spread_far(net, desk, node, have) if far == 1 else _spread(net, desk, node, have)
                if amount == FULL:
                    return FULL
                total += amount
                if have < INFINITE:
                    put(state, 4 * node + SUPPLY, have - amount)
        left = np.int64(0)
        for place in range(count):
            left += min(get(state, 4 * get(sources, place) + SUPPLY), INFINITE - left)
        least = left >> FAR
    return total


@inlined
def _owe(state, nodes, marks, owed, node, amount):
    if amount > 0:
        put(state, 4 * node + DEBT, get(state, 4 * node + DEBT) + amount)
        add(marks, owed, nodes, node)


@entry
def owe(net, desk, begin, low, high, grand, targets, demands):
    """Lays the base flow: from the nodes of one group from low to high, each giving its share at most, then more.

    In all no more than twice v(N), for beyond its first layers a network may carry any amount.

    Args:
        net, desk: the network and its scratch.
        begin: group from which it starts; 0: what the targets can take is all that is owed.
        low, high: positions between which it starts.
        grand: v(N) in units.
        targets: target nodes.
        demands: what each can take.

    Returns:
        0, FULL or BROKEN.
    """
    groups, nodes, ways = get(net, GROUPS), get(net, NODES), get(net, WAYS)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    state, marks, meta, sources, bases = (
        get(desk, STATE),
        get(desk, MARKS),
        get(desk, META),
        get(desk, SOURCES),
        get(desk, BASES),
    )
    restore(net, desk, False)
    words = get(net, WORD_COUNT)
    sink, owed = get(meta, SINK), OWED * words
    if sink >= 0:
        for g in range(2, get(net, GROUP_COUNT)):
            row = 16 * get(groups, 8 * g + IN)
            for k in range(get(ways, row + KEYS)):
                if k != sink:
                    edge = get(ways, row + BASE) + sink * get(ways, row + KEYS) + k
                    units = units_of(capacity, narrow, edge, scale)
                    _owe(state, nodes, marks, owed, get(ways, row + FIRST) + k, units)
    else:
        for i in range(targets.size):
            _owe(state, nodes, marks, owed, get(targets, i), get(demands, i))
    put(meta, HINT, -1)
    if begin > 0:
        laid = np.int64(0)
        for turn in range(begin + 1):
            start = get(groups, 8 * (begin - turn if turn < begin else begin) + START)
            share = (grand - laid) // (high - low + 1) if turn < begin else 2 * grand
            count = np.int64(0)
            for k in range(low, high + 1):
                put(state, 4 * (start + k) + SUPPLY, share)
                put(sources, count, start + k)
                count += 1
            phases = get(meta, WIDE) if turn == 0 else np.int64(0)
            found = call(get(desk, AUGMENT), net, desk, count, grand - laid, phases)
            if found < 0:
                return found
            laid += found
            for k in range(low, high + 1):
                gave = share - get(state, 4 * (start + k) + SUPPLY)
                put(bases, 2 * (start + k), get(bases, 2 * (start + k)) + gave)
                put(state, 4 * (start + k) + SUPPLY, 0)
        for g in range(1, begin + 1):
            for node in range(get(groups, 8 * g + START) + low, get(groups, 8 * g + START) + high + 1):
                _owe(state, nodes, marks, owed, node, get(bases, 2 * node))
    put(meta, LOW_END, low)
    put(meta, HIGH_END, high)
    put(meta, BASE_LOGGED, get(meta, LOGGED))
    put(meta, BASE_PAGES, get(meta, PAGES))
    for node in range(get(net, NODE_COUNT)):
        put(bases, 2 * node, get(state, 4 * node + DEBT))
        put(bases, 2 * node + 1, get(state, 4 * node + CHAIN))
    for w in range(words):
        put(marks, BASE_OWED * words + w, get(marks, owed + w))
    return 0


@entry
def play_single(
    net,
    desk,
    targets,
    demands,
    floors,
    member_start,
    members,
    chosen,
    first,
    limit,
    units,
    by_layer,
    bottleneck,
):
    """Finds v({j}) of the chosen players.

    Args:
        net, desk: the network, and scratch with a base flow.
        targets: target nodes.
        demands: what each can take, INFINITE for any amount.
        floors: `[positions]`, the least position that flow from each can get to; all 0 if the network is no stack.
        member_start: `[players + 1]`, into `members`.
        members: input nodes of each player.
        chosen: players.
        first: place in `chosen` to begin with.
        limit: no value is larger.
        units: `[chosen]`, filled with the values.
        by_layer: `[layers + 2]`, scratch for the cuts' shares; empty for no cuts.
        bottleneck: `[chosen]`, filled with the layer of the largest share of the nearest minimum cut, 0 if
            the flow is 0; -1 if flow and cut differ.

    Returns:
        The number of players, or the place at which the scratch tables did not suffice, or BROKEN.
    """
    groups, nodes, words = get(net, GROUPS), get(net, NODES), get(net, WORD_COUNT)
    marks, meta = get(desk, MARKS), get(desk, META)
    for place in range(first, chosen.size):
        j = get(chosen, place)
        own = members[get(member_start, j) : get(member_start, j + 1)]
        restore(net, desk, True)
        for i in range(own.size):  # what comes back to him does not count
            node = get(own, i)
            while node >= 0:
                remove(marks, ALIVE * words, nodes, node)
                # where streams are open, his are himself
                node = get(nodes, 8 * node + AFTER) if get(meta, SINK) >= 0 else -1
        floor = get(floors, get(meta, LOW_END))
        for i in range(own.size):
            floor = min(floor, get(floors, get(nodes, 8 * get(own, i) + AT)))
        if floor > 0:  # nothing gets there
            for g in range(get(net, GROUP_COUNT)):
                word = ALIVE * words + get(groups, 8 * g + WORDS)
                for w in range(floor >> 6):
                    put(marks, word + w, 0)
                word += floor >> 6
                put(marks, word, get(marks, word) & ~(bit_of(floor) - 1))
        count, total = _supply(net, desk, own, np.int64(0), np.int64(1))
        if get(meta, SINK) >= 0 or get(meta, HIGH_END) > 0:
            sent_on = _spread_all(net, desk, count)
            if sent_on == FULL:
                return place
            total += sent_on
        put(meta, HINT, get(nodes, 8 * get(own, 0) + AT))
        more = call(get(desk, AUGMENT), net, desk, count, limit - total, np.int64(0))
        if more < 0:
            return place if more == FULL else more
        total += more
        put(units, place, total)
        if by_layer.size > 0:
            cut = cut_of(net, desk, own, targets, demands, by_layer)
            widest = 0
            for layer in range(by_layer.size):
                if get(by_layer, layer) > get(by_layer, widest):
                    widest = layer
            put(bottleneck, place, -1 if cut != total else widest)
    return chosen.size


@entry
def play(net, desk, member_start, members, supplies, themselves, rounds, steps, chosen, first, limit, gains):
    """Plays rounds of the game: in each, players join step by step, and the flow is made maximal again.

    After a search that meets no target, nothing it has seen can reach the target, and flow added later
    never passes there: those nodes are out for the rest of the round.

    Args:
        net: the network.
        desk: scratch in which the targets are owed what they can take; after the last round it holds that
            round's flow.
        member_start: `[players + 1]`, into `members`.
        members: input nodes of each player.
        supplies: `[players]`, what the players may send, INFINITE for any amount.
        themselves: True if the players' nodes send, so that flow on their edges is kept.
        rounds: `[rounds + 1]`, into `steps`.
        steps: `[steps + 1]`, into `chosen`.
        chosen: players that join in each step.
        first: round to begin with.
        limit: value at which a round may stop; the rest of its steps gain nothing.
        gains: `[steps]`, filled with what each step adds.

    Returns:
        The number of rounds, or the round for which the scratch tables did not suffice, or BROKEN.
    """
    nodes, words = get(net, NODES), get(net, WORD_COUNT)
    state, marks, meta, sources = get(desk, STATE), get(desk, MARKS), get(desk, META), get(desk, SOURCES)
    for number in range(first, rounds.size - 1):
        restore(net, desk, True)
        total = np.int64(0)
        for step in range(get(rounds, number), get(rounds, number + 1)):
            put(gains, step, 0)
            if total == limit:
                continue
            count = np.int64(0)
            for c in range(get(steps, step), get(steps, step + 1)):
                j = get(chosen, c)
                own = members[get(member_start, j) : get(member_start, j + 1)]
                if themselves:
                    for i in range(own.size):
                        put(state, 4 * get(own, i) + SUPPLY, get(supplies, j))
                        put(sources, count, get(own, i))
                        count += 1
                else:
                    count, _ = _supply(net, desk, own, count, np.int64(0))
                put(meta, HINT, get(nodes, 8 * get(own, 0) + AT))
            more = call(get(desk, AUGMENT), net, desk, count, limit - total, np.int64(0))
            if more < 0:
                return number if more == FULL else more
            for i in range(count):
                put(state, 4 * get(sources, i) + SUPPLY, 0)
            put(gains, step, more)
            total += more
            if total < limit and step + 1 < get(rounds, number + 1):
                for w in range(words):
                    put(marks, ALIVE * words + w, get(marks, UNSEEN * words + w))
    return rounds.size - 1
