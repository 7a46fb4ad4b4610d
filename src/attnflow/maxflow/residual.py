"""The flow of edges, changed so that it can be taken back."""

from __future__ import annotations

import numpy as np

from attnflow.maxflow.desk import BASE_PAGES, BITS_NOW, CHAINS, LOGGED, PAGE, PAGED, PAGES, POOL
from attnflow.maxflow.loops import bit_of, entry, get, get_double, get_short, inlined, lowest, put, put_short
from attnflow.maxflow.net import (
    AFTER,
    AT,
    BASE,
    BY_KEY,
    BY_QUERY,
    CAPACITY,
    COUNT,
    GROUP,
    GROUP_COUNT,
    GROUPS,
    IN,
    IN_END,
    KEY_WORDS,
    KEYS,
    NARROW,
    NODES,
    OUT,
    OUT_END,
    QUERY_WORDS,
    SCALE,
    WAYS,
    units_of,
)


@inlined
def on_page(pages, pool, edge):
    """What an edge's page says that it carries."""
    return get(pool, (np.int64(get_short(pages, edge >> PAGE)) << PAGE) + (edge & ((1 << PAGE) - 1)))


@inlined
def flow_of(pages, pool, bits, by_query, k, edge, units):
    """Flow of a block's edge that carries some: all it can where it has no room left, else as its page says."""
    if (get(bits, by_query) >> (k & 63)) & 1 == 0:
        return units
    return on_page(pages, pool, edge)


@inlined
def room_of(ways, row, capacity, narrow, scale, bits, pages, pool, q, k):
    """A block edge's number, the pair of words of its query's row, and the room that it has left."""
    edge = get(ways, row + BASE) + q * get(ways, row + KEYS) + k
    by_query = get(ways, row + BY_QUERY) + 2 * (q * get(ways, row + KEY_WORDS) + (k >> 6))
    room = units_of(capacity, narrow, edge, scale)
    if get(bits, by_query + 1) & bit_of(k) != 0:
        room -= flow_of(pages, pool, bits, by_query, k, edge, room)
    return edge, by_query, room


@inlined
def note(log, meta, place):
    """Writes to the log, which must have place for it, that a pair of words changes."""
    i = get(meta, LOGGED)
    put(meta, LOGGED, i + 1)
    put(log, 2 * i, place)


@inlined
def write(pages, pool, log, meta, edge, amount):
    """Sets the flow of an edge that has room left, on a page of its own, which must have place."""
    page = np.int64(get_short(pages, edge >> PAGE))
    if page < get(meta, BASE_PAGES):  # the empty one, or one of the base
        fresh = get(meta, PAGES)
        put(meta, PAGES, fresh + 1)
        for i in range(1 << PAGE):
            put(pool, (fresh << PAGE) + i, get(pool, (page << PAGE) + i))
        put_short(pages, edge >> PAGE, fresh)
        i = get(meta, LOGGED)
        put(meta, LOGGED, i + 1)
        put(log, 2 * i, -1 - (edge >> PAGE))
        put(log, 2 * i + 1, page)
        page = fresh
    put(pool, (page << PAGE) + (edge & ((1 << PAGE) - 1)), amount)


@inlined
def send_on_row(pages, pool, bits, log, meta, by_query, k, edge, room, amount):
    """The half of `send` that the query's row is told; the key's row is told by `send_on_column`."""
    one = bit_of(k)
    note(log, meta, by_query)
    if amount == room:
        put(bits, by_query, get(bits, by_query) & ~one)
    else:
        before = np.int64(0)
        if get(bits, by_query + 1) & one != 0:
            before = on_page(pages, pool, edge)
        write(pages, pool, log, meta, edge, before + amount)
    put(bits, by_query + 1, get(bits, by_query + 1) | one)


@inlined
def send_on_column(bits, log, meta, by_key, sending, filled):
    """Tells the key's row which queries get flow from it, and which of these edges have no room left."""
    note(log, meta, by_key)
    put(bits, by_key, get(bits, by_key) & ~filled)
    put(bits, by_key + 1, get(bits, by_key + 1) | sending)


@inlined
def send(pages, pool, bits, log, meta, by_query, by_key, q, k, edge, room, amount):
    """Adds to the flow of a block's edge with room for it."""
    send_on_row(pages, pool, bits, log, meta, by_query, k, edge, room, amount)
    send_on_column(bits, log, meta, by_key, bit_of(q), bit_of(q) if amount == room else np.int64(0))


@inlined
def take_back(pages, pool, bits, log, meta, by_query, by_key, q, k, edge, flow, amount):
    """Takes from the flow of a block's edge."""
    one, two = bit_of(k), bit_of(q)
    note(log, meta, by_query)
    note(log, meta, by_key)
    put(bits, by_query, get(bits, by_query) | one)
    put(bits, by_key, get(bits, by_key) | two)
    if amount == flow:
        put(bits, by_query + 1, get(bits, by_query + 1) & ~one)
        put(bits, by_key + 1, get(bits, by_key + 1) & ~two)
    else:
        write(pages, pool, log, meta, edge, flow - amount)


@entry
def flows(net, desk, flow):
    """Fills `flow` with that of every edge of a block which has any, at its number."""
    groups, ways = get(net, GROUPS), get(net, WAYS)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    bits, pages, pool = get(desk, BITS_NOW), get(desk, PAGED), get(desk, POOL)
    for g in range(get(net, GROUP_COUNT)):
        for way in range(get(groups, 8 * g + IN), get(groups, 8 * g + IN_END)):
            row = 16 * way
            for q in range(get(groups, 8 * g + COUNT)):
                here = get(ways, row + BY_QUERY) + 2 * q * get(ways, row + KEY_WORDS)
                for w in range(get(ways, row + KEY_WORDS)):
                    left = get(bits, here + 2 * w + 1)
                    while left != 0:
                        k = (w << 6) + lowest(left)
                        left &= left - 1
                        edge = get(ways, row + BASE) + q * get(ways, row + KEYS) + k
                        units = units_of(capacity, narrow, edge, scale)
                        put(flow, edge, flow_of(pages, pool, bits, here + 2 * w, k, edge, units))


@entry
def sending(net, desk, chosen, found):
    """Fills `found` with 1 for each chosen node that sends anything on, with 0 for others."""
    groups, nodes, ways = get(net, GROUPS), get(net, NODES), get(net, WAYS)
    chains, bits = get(desk, CHAINS), get(desk, BITS_NOW)
    for i in range(chosen.size):
        node = get(chosen, i)
        g, k, after = get(nodes, 8 * node + GROUP), get(nodes, 8 * node + AT), get(nodes, 8 * node + AFTER)
        some = get(chains, after) if after >= 0 else np.int64(0)
        for way in range(get(groups, 8 * g + OUT), get(groups, 8 * g + OUT_END)):
            row = 16 * way
            here = get(ways, row + BY_KEY) + 2 * k * get(ways, row + QUERY_WORDS) + 1
            for w in range(get(ways, row + QUERY_WORDS)):
                some |= get(bits, here + 2 * w)
        put(found, i, np.int64(some != 0))
