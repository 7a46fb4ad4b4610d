"""Dinic's algorithm on dense layers: phases of a search and a pull.

A search labels nodes with their distance from what is left to send, a level at a time, until it meets a node that
is owed something. It goes by words of bits: what a node reaches is its row of edges with room and the nodes not
seen yet, 64 at once. In a pull the nodes that are owed something ask for it: a node passes what is asked of it
on to those one level nearer to the senders, back along its stream early (in attention networks the widest edge
there is), and whole amounts travel, not single paths. A search that meets nothing has seen just the senders' side
of their nearest minimum cut. Amounts are int64.
"""

from __future__ import annotations

import numpy as np

from attnflow.maxflow.desk import (
    ALIVE,
    ARCS,
    BITS_NOW,
    BROKEN,
    CHAINS,
    CLOCK,
    DEBTS,
    ENTRIES_LEFT,
    FULL,
    HELD,
    HINT,
    LEVELS,
    LOG,
    LOGGED,
    MARKS,
    META,
    MOST_LEVELS,
    MOST_LOGGED,
    MOST_PAGES,
    OPEN,
    OWED,
    PAGED,
    PAGES,
    PAGES_LEFT,
    POOL,
    SENDING,
    SINK,
    SOURCES,
    SPANS,
    STACK,
    UNSEEN,
    WIDE,
)
from attnflow.maxflow.graph import INFINITE
from attnflow.maxflow.loops import apart, bit_of, get, get_double, inlined, inner, lowest, put
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
    COUNT,
    FIRST,
    FIRSTS,
    FURTHEST,
    GROUP,
    GROUP_COUNT,
    GROUPS,
    IN,
    IN_END,
    KEY_WORDS,
    KEYS,
    LAYER,
    LINKED,
    NARROW,
    NEAREST,
    NODE_COUNT,
    NODES,
    NUMBER,
    OF_LAYER,
    OTHER,
    OUT,
    OUT_END,
    QUERY_WORDS,
    SCALE,
    THERE,
    WAYS,
    WORD,
    WORD_COUNT,
    WORDS,
    add,
    has,
    remove,
    units_of,
)
from attnflow.maxflow.residual import flow_of, room_of, send, take_back

#: A node asks no edge for less than 2^-COARSE of what it wants in a first phase of large contexts, where a flow
#: that is gathered from very many tiny weights uses a hundred edges where one would do; EVERYTHING: it asks all.
COARSE, EVERYTHING = 10, 63

# Columns of `stack`: node, what it still wants, what it was asked for, the edge by which it was asked, that edge's
# room, and the row of `ways` by which it went.
NODE, WANT, ASKED, EDGE, ROOM, WAY = range(6)
# Values of EDGE for steps along a stream and back along it; -3 less an edge goes back over that edge.
STREAM, BACK_STREAM, BACK = -1, -2, -3
# Where a node asks: at the favourite position, along its stream, in the blocks that enter it; then it takes back what
# it sends on, along the stream or in the blocks that leave it.
FAVOURITE, STREAMS, BLOCKS = range(3)


@inlined
def from_sender(nodes, levels, words, held, chains, node, want, open_):
    """Takes up to what is wanted from a sender, or where streams are open from any up its stream.

    One that has nothing left is asked no more.
    """
    got = np.int64(0)
    above = node
    while True:
        have = get(held, above)
        if have > 0:
            amount = min(want - got, have)
            if have < INFINITE:
                put(held, above, have - amount)
            got += amount
            below = node
            while below != above:
                put(chains, below, get(chains, below) + amount)
                below = get(nodes, 8 * below + BEFORE)
            if got == want:
                return got
        if not open_:
            break
        above = get(nodes, 8 * above + BEFORE)
        if above < 0 or not has(levels, words, nodes, above):
            break
    remove(levels, words, nodes, node)
    return got


@inlined
def _reach(bits, marks, levels, row, low, high, unseen, there):
    """Moves what a row of bits reaches from the nodes not seen to a level."""
    for w in range(low, high):
        new = get(bits, row + 2 * w) & get(marks, unseen + w)
        if new != 0:
            put(marks, unseen + w, get(marks, unseen + w) ^ new)
            put(levels, there + w, get(levels, there + w) | new)


@inlined
def _reach_node(nodes, marks, levels, node, unseen, there):
    word = get(nodes, 8 * node + WORD)
    new = get(marks, unseen + word) & bit_of(get(nodes, 8 * node + AT))
    if new != 0:
        put(marks, unseen + word, get(marks, unseen + word) ^ new)
        put(levels, there + word, get(levels, there + word) | new)


@apart
def _search(net, desk, count):
    """Finds the nearest level with a node that is owed something.

    Returns:
        The level; 0 if there is none, and then UNSEEN has the nodes that cannot be reached; FULL.
    """
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    firsts, words, number = get(net, FIRSTS), get(net, WORD_COUNT), get(net, GROUP_COUNT)
    bits, levels, marks, spans = get(desk, BITS_NOW), get(desk, LEVELS), get(desk, MARKS), get(desk, SPANS)
    held, chains, arcs = get(desk, HELD), get(desk, CHAINS), get(desk, ARCS)
    sources, meta = get(desk, SOURCES), get(desk, META)
    unseen, owed = UNSEEN * words, OWED * words
    open_ = get(meta, OPEN) != 0
    for w in range(words):
        put(marks, unseen + w, get(marks, ALIVE * words + w))
        put(levels, words + w, 0)
    clock = get(meta, CLOCK) + 1
    if clock == 1 << 31:  # or a node could take what another search left behind for its own
        for node in range(get(net, NODE_COUNT)):
            put(arcs, node, 0)
        clock = np.int64(1)
    put(meta, CLOCK, clock)
    for g in range(number):
        first = get(groups, 8 * g + WORDS)
        put(spans, 2 * g, first)
        put(spans, 2 * g + 1, first + ((get(groups, 8 * g + COUNT) + 63) >> 6))
    for i in range(count):
        node = get(sources, i)
        if get(held, node) > 0:
            _reach_node(nodes, marks, levels, node, unseen, words)
    level = 1
    while True:
        here = level * words
        if open_:  # what a node has, all that follow along its stream have
            width = get(groups, 8 + WORDS)
            for w in range(words - width):
                new = get(levels, here + w) & get(marks, unseen + w + width)
                put(levels, here + w + width, get(levels, here + w + width) | new)
                put(marks, unseen + w + width, get(marks, unseen + w + width) ^ new)
        met, some = np.int64(0), np.int64(0)
        for w in range(words):
            met |= get(levels, here + w) & get(marks, owed + w)
            some |= get(levels, here + w)
        if met != 0:
            return level
        if some == 0:
            return 0
        level += 1
        if level == get(meta, MOST_LEVELS):
            return FULL
        there = level * words
        for w in range(words):
            put(levels, there + w, 0)
        for g in range(number):
            for place in range(
                get(groups, 8 * g + WORDS),
                get(groups, 8 * g + WORDS) + ((get(groups, 8 * g + COUNT) + 63) >> 6),
            ):
                left = get(levels, here + place)
                while left != 0:
                    node = get(firsts, place) + lowest(left)
                    left &= left - 1
                    at = get(nodes, 8 * node + AT)
                    useful = False  # is anything beside its group still to be seen?
                    for way in range(get(groups, 8 * g + OUT), get(groups, 8 * g + IN_END)):
                        row = 16 * way
                        h = get(ways, row + OTHER)
                        low, high = get(spans, 2 * h), get(spans, 2 * h + 1)
                        while low < high and get(marks, unseen + low) == 0:
                            low += 1
                        while low < high and get(marks, unseen + high - 1) == 0:
                            high -= 1
                        put(spans, 2 * h, low)
                        put(spans, 2 * h + 1, high)
                        if low < high:
                            useful = True
                            first = get(ways, row + BITS)
                            if way < get(groups, 8 * g + OUT_END):
                                start = get(ways, row + BY_KEY) + 2 * (
                                    at * get(ways, row + QUERY_WORDS) - first
                                )
                                low = max(low, first + (get(nodes, 8 * node + NEAREST) >> 6))
                                high = min(high, first + (get(nodes, 8 * node + FURTHEST) >> 6) + 1)
                            else:
                                start = (
                                    get(ways, row + BY_QUERY)
                                    + 2 * (at * get(ways, row + KEY_WORDS) - first)
                                    + 1
                                )
                            _reach(bits, marks, levels, start, low, high, unseen, there)
                    if not useful and get(groups, 8 * g + LINKED) == 0:
                        break
                    other = get(nodes, 8 * node + AFTER)
                    if other >= 0 and get(along, other) > get(chains, other):
                        _reach_node(nodes, marks, levels, other, unseen, there)
                    other = get(nodes, 8 * node + BEFORE)
                    if other >= 0 and get(chains, node) > 0:
                        _reach_node(nodes, marks, levels, other, unseen, there)
                if left != 0:
                    break


@apart
def _pull(net, desk, top, limit, fine):
    """Lets the nodes of a level that are owed something ask for it.

    Args:
        net, desk: the network and its scratch.
        top: level of the nodes that ask.
        limit: most that is wanted.
        fine: edges with room for no more than 2^-fine of what a node wants are not asked.

    Returns:
        What they got, or FULL.
    """
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    firsts, words = get(net, FIRSTS), get(net, WORD_COUNT)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    bits, levels, stack, pages = get(desk, BITS_NOW), get(desk, LEVELS), get(desk, STACK), get(desk, PAGED)
    pool, log, meta = get(desk, POOL), get(desk, LOG), get(desk, META)
    held, debts, chains, arcs = get(desk, HELD), get(desk, DEBTS), get(desk, CHAINS), get(desk, ARCS)
    marks = get(desk, MARKS)
    hint, open_, clock = get(meta, HINT), get(meta, OPEN) != 0, get(meta, CLOCK)
    most_logged, most_pages = get(meta, MOST_LOGGED) - ENTRIES_LEFT, get(meta, MOST_PAGES) - PAGES_LEFT
    total = np.int64(0)
    for place in range(words - 1, -1, -1):
        roots = get(levels, top * words + place) & get(marks, OWED * words + place)
        while roots != 0 and total < limit:
            root = get(firsts, place) + lowest(roots)
            roots &= roots - 1
            wanted = min(get(debts, root), limit - total)
            if top == 1:
                got = from_sender(nodes, levels, words, held, chains, root, wanted, open_)
            else:
                got = np.int64(0)
                depth = 0
                level = top
                put(stack, NODE, root)
                put(stack, WANT, wanted)
                while True:
                    # `level` is that of the node on top of the stack
                    node, want = get(stack, 8 * depth + NODE), get(stack, 8 * depth + WANT)
                    at = get(nodes, 8 * node + AT)
                    other, edge, room, row, step = -1, 0, 0, 0, 1
                    if want > 0:
                        least = want >> fine
                        nearer = (level - 1) * words
                        g = get(nodes, 8 * node + GROUP)
                        arc = get(arcs, node)
                        stage, word = (arc >> 20) & 0xFFF, arc & 0xFFFFF
                        if arc >> 32 != clock:
                            stage, word = np.int64(0), np.int64(0)
                        way = get(groups, 8 * g + IN)
                        blocks = BLOCKS + get(groups, 8 * g + IN_END) - way
                        if stage == FAVOURITE:
                            for one in range(way, way + blocks - BLOCKS):
                                line = 16 * one
                                if 0 <= hint < get(ways, line + NUMBER):
                                    here = get(ways, line + BY_QUERY) + 2 * (
                                        at * get(ways, line + KEY_WORDS) + (hint >> 6)
                                    )
                                    if (
                                        get(levels, nearer + get(ways, line + BITS) + (hint >> 6))
                                        & get(bits, here)
                                        & bit_of(hint)
                                        != 0
                                    ):
                                        edge, _, room = room_of(
                                            ways, line, capacity, narrow, scale, bits, pages, pool, at, hint
                                        )
                                        if room > least:
                                            other, row = get(ways, line + FIRST) + hint, line
                            if other < 0:
                                stage = STREAMS
                        if other < 0 and stage == STREAMS:
                            asked = get(nodes, 8 * node + BEFORE)
                            if asked >= 0:
                                room = get(along, node) - get(chains, node)
                                if room > least and has(
                                    levels, nearer + words if open_ else nearer, nodes, asked
                                ):
                                    other, edge = asked, STREAM
                                    if open_:
                                        step = 0
                            if other < 0:
                                stage, word = BLOCKS, 0
                        while other < 0 and stage < blocks:
                            row = 16 * (way + stage - BLOCKS)
                            first, start = nearer + get(ways, row + BITS), get(ways, row + FIRST)
                            here = get(ways, row + BY_QUERY) + 2 * at * get(ways, row + KEY_WORDS)
                            edges = get(ways, row + BASE) + at * get(ways, row + KEYS)
                            while word < get(ways, row + KEY_WORDS):
                                found = get(levels, first + word) & get(bits, here + 2 * word)
                                while found != 0:
                                    k = (word << 6) + lowest(found)
                                    room = units_of(capacity, narrow, edges + k, scale)
                                    if get(bits, here + 2 * word + 1) & found & -found != 0:
                                        room -= flow_of(
                                            pages, pool, bits, here + 2 * word, k, edges + k, room
                                        )
                                    found &= found - 1
                                    if room <= least:
                                        continue
                                    if level > 2:
                                        other, edge = start + k, edges + k
                                        break
                                    if get(meta, LOGGED) > most_logged or get(meta, PAGES) > most_pages:
                                        return FULL
                                    amount = from_sender(
                                        nodes, levels, words, held, chains, start + k, min(want, room), open_
                                    )
                                    if amount > 0:
                                        there = get(ways, row + BY_KEY) + 2 * (
                                            k * get(ways, row + QUERY_WORDS) + (at >> 6)
                                        )
                                        send(
                                            pages,
                                            pool,
                                            bits,
                                            log,
                                            meta,
                                            here + 2 * word,
                                            there,
                                            at,
                                            k,
                                            edges + k,
                                            room,
                                            amount,
                                        )
                                        want -= amount
                                        if want == 0:
                                            break
                                if other >= 0 or want == 0:
                                    break
                                word += 1
                            if other >= 0 or want == 0:
                                break
                            stage += 1
                            word = 0
                        if level == 2:
                            put(stack, 8 * depth + WANT, want)
                        if other < 0 and want > 0 and stage == blocks:
                            asked = get(nodes, 8 * node + AFTER)
                            if asked >= 0:
                                room = get(chains, asked)
                                if room > least and has(levels, nearer, nodes, asked):
                                    other, edge = asked, BACK_STREAM
                            if other < 0:
                                stage += 1
                                word = 0
                        last = blocks + 1 + get(groups, 8 * g + OUT_END) - get(groups, 8 * g + OUT)
                        while other < 0 and want > 0 and stage < last:
                            row = 16 * (get(groups, 8 * g + OUT) + stage - blocks - 1)
                            first = nearer + get(ways, row + BITS)
                            here = get(ways, row + BY_KEY) + 2 * at * get(ways, row + QUERY_WORDS) + 1
                            while word < get(ways, row + QUERY_WORDS):
                                found = get(levels, first + word) & get(bits, here + 2 * word)
                                while found != 0:
                                    q = (word << 6) + lowest(found)
                                    found &= found - 1
                                    start = get(ways, row + BASE) + q * get(ways, row + KEYS) + at
                                    there = get(ways, row + BY_QUERY) + 2 * (
                                        q * get(ways, row + KEY_WORDS) + (at >> 6)
                                    )
                                    room = units_of(capacity, narrow, start, scale)
                                    room = flow_of(pages, pool, bits, there, at, start, room)
                                    if room > least:
                                        other, edge = get(ways, row + FIRST) + q, BACK - start
                                        break
                                if other >= 0:
                                    break
                                word += 1
                            if other < 0:
                                stage += 1
                                word = 0
                        put(arcs, node, (clock << 32) | (stage << 20) | word)
                    if other >= 0:
                        amount = min(want, room)
                        if level > 2 or step == 0:
                            depth += 1
                            level -= step
                            put(stack, 8 * depth + NODE, other)
                            put(stack, 8 * depth + WANT, amount)
                            put(stack, 8 * depth + ASKED, amount)
                            put(stack, 8 * depth + EDGE, edge)
                            put(stack, 8 * depth + ROOM, room)
                            put(stack, 8 * depth + WAY, row)
                            continue
                        amount = from_sender(nodes, levels, words, held, chains, other, amount, open_)
                        parent, child = at, get(nodes, 8 * other + AT)
                        head = node if edge == STREAM else other
                    else:
                        if want > 0:  # nothing more is to be had here
                            remove(levels, level * words, nodes, node)
                        if depth == 0:
                            got = wanted - want
                            break
                        amount = get(stack, 8 * depth + ASKED) - want
                        edge, room, row = (
                            get(stack, 8 * depth + EDGE),
                            get(stack, 8 * depth + ROOM),
                            get(stack, 8 * depth + WAY),
                        )
                        depth -= 1
                        above = get(stack, 8 * depth + NODE)
                        parent, child = get(nodes, 8 * above + AT), at
                        head = above if edge == STREAM else node
                        if not open_ or edge != STREAM:
                            level += 1
                    if amount == 0:
                        continue
                    put(stack, 8 * depth + WANT, get(stack, 8 * depth + WANT) - amount)
                    if edge == STREAM:
                        put(chains, head, get(chains, head) + amount)
                    elif edge == BACK_STREAM:
                        put(chains, head, get(chains, head) - amount)
                    else:
                        if get(meta, LOGGED) > most_logged or get(meta, PAGES) > most_pages:
                            return FULL
                        q, k = (parent, child) if edge >= 0 else (child, parent)
                        by_query = get(ways, row + BY_QUERY) + 2 * (q * get(ways, row + KEY_WORDS) + (k >> 6))
                        by_key = get(ways, row + BY_KEY) + 2 * (k * get(ways, row + QUERY_WORDS) + (q >> 6))
                        if edge >= 0:
                            send(pages, pool, bits, log, meta, by_query, by_key, q, k, edge, room, amount)
                        else:
                            take_back(
                                pages,
                                pool,
                                bits,
                                log,
                                meta,
                                by_query,
                                by_key,
                                q,
                                k,
                                BACK - edge,
                                room,
                                amount,
                            )
            owed = get(debts, root)
            if owed < INFINITE:
                put(debts, root, owed - got)
                if owed == got:
                    remove(marks, OWED * words, nodes, root)
            total += got
        if total >= limit:
            break
    return total


@apart
def augment(net, desk, count, limit, most):
    """Sends what is left over phases, until none of it gets anywhere; returns what it sent, FULL or BROKEN.

    Args:
        net, desk: the network and its scratch.
        count: how many `sources` may have something to send.
        limit: most that is wanted.
        most: phases after which to stop; 0 for none.
    """
    total = np.int64(0)
    meta = get(desk, META)
    fine = COARSE if get(meta, WIDE) != 0 else EVERYTHING
    while total < limit:
        level = _search(net, desk, count)
        if level == FULL:
            return FULL
        if level == 0:
            break
        got = _pull(net, desk, level, limit - total, fine)
        if got == FULL:
            return FULL
        if got == 0 and fine == EVERYTHING:
            return BROKEN
        total += got
        fine = EVERYTHING
        most -= 1
        if most == 0:
            break
    return total


@inner
def cut_of(net, desk, members, targets, demands, by_layer):
    """Sums what leaves the senders and the nodes that the last search saw, per layer; returns the total.

    Edges to nodes that do not lead to the target are in no minimum cut.
    """
    groups, nodes, ways, along = get(net, GROUPS), get(net, NODES), get(net, WAYS), get(net, ALONG)
    firsts, words, there = get(net, FIRSTS), get(net, WORD_COUNT), get(net, THERE)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    marks, spans, meta = get(desk, MARKS), get(desk, SPANS), get(desk, META)
    unseen, seen = UNSEEN * words, SENDING * words
    sink = get(meta, SINK)
    for layer in range(by_layer.size):
        put(by_layer, layer, 0)
    for w in range(words):
        put(marks, seen + w, get(marks, ALIVE * words + w) & ~get(marks, unseen + w))
    for i in range(members.size):
        node = get(members, i)
        while node >= 0:
            add(marks, seen, nodes, node)
            node = get(nodes, 8 * node + AFTER) if sink >= 0 and get(nodes, 8 * node + AT) != sink else -1
    for place in range(words):
        left = get(marks, seen + place)
        while left != 0:
            node = get(firsts, place) + lowest(left)
            left &= left - 1
            g, at, after = (
                get(nodes, 8 * node + GROUP),
                get(nodes, 8 * node + AT),
                get(nodes, 8 * node + AFTER),
            )
            if after >= 0 and (has(marks, unseen, nodes, after) or (at == sink and g == 0)):
                layer = get(nodes, 8 * after + LAYER)
                put(by_layer, layer, get(by_layer, layer) + get(along, after))
            for way in range(get(groups, 8 * g + OUT), get(groups, 8 * g + OUT_END)):
                row = 16 * way
                here = get(ways, row + BY_KEY) + 2 * at * get(ways, row + QUERY_WORDS)
                edge, keys = get(ways, row + BASE) + at, get(ways, row + KEYS)
                total = np.int64(0)
                first, h = get(ways, row + BITS), get(ways, row + OTHER)
                low, high = get(spans, 2 * h) - first, get(spans, 2 * h + 1) - first
                if sink >= 0:
                    low, high = np.int64(0), get(ways, row + QUERY_WORDS)
                for w in range(low, high):
                    others = get(marks, unseen + first + w)
                    if sink >> 6 == w:
                        others |= bit_of(sink)
                    others &= get(there, here + 2 * w)
                    while others != 0:
                        q = (w << 6) + lowest(others)
                        others &= others - 1
                        total += units_of(capacity, narrow, edge + q * keys, scale)
                layer = get(ways, row + OF_LAYER)
                put(by_layer, layer, get(by_layer, layer) + total)
    if sink < 0:
        for i in range(targets.size):
            if has(marks, seen, nodes, get(targets, i)):
                layer = by_layer.size - 1
                put(by_layer, layer, get(by_layer, layer) + get(demands, i))
    total = np.int64(0)
    for layer in range(by_layer.size):
        total += get(by_layer, layer)
    return total
