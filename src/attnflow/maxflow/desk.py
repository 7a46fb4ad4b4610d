"""Scratch tables of one thread: a flow, as far as it differs from none, and how to take it back.

Amounts on block edges lie in pages of eight, and a page exists once one of its edges carries flow, so that a flow
costs as much memory, and as much to forget, as the edges it uses. An edge that carries all it can needs no page.
Whatever a flow changes, a page's number or a pair of words of bits, is written to a log, to be taken back;
a page that belongs to a base flow is copied first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnflow.maxflow.loops import (
    address,
    get,
    inner,
    put,
    put_short,
    ready,
)
from attnflow.maxflow.net import (
    NODE_COUNT,
    THERE,
    WORD_COUNT,
    Ints,
    Net,
)

#: Edges in a page, as a power of two.
PAGE = 3
#: Distances of a search, for each group of nodes, up to which there is place at first.
DISTANCES = 8

# Rows of `marks`: nodes that lead to the target; of those, the ones in play; of those, the ones not seen yet; nodes
# that are owed something, now and by the base; the senders' side of a cut; nodes from which something owed may be
# reached along streams.
PLAYING, ALIVE, UNSEEN, OWED, BASE_OWED, SENDING, PAYABLE = range(7)
# Entries of `meta`: pages and log entries in use, by the base and in all; the position that a node asks first, -1 for
# none; 1 if streams are infinite and cost no distance; the position whose stream is the sink, or -1; last group
# of nodes of which any but the target is owed anything; 1 if a first phase takes wide edges only; positions between
# which the base starts; the game it is set up for; the number of searches; and for how many pages, log entries and
# distances there is place.
PAGES, BASE_PAGES, LOGGED, BASE_LOGGED, HINT, OPEN, SINK, DEEPEST, WIDE, LOW_END, HIGH_END, GAME, CLOCK = (
    range(13)
)
MOST_PAGES, MOST_LOGGED, MOST_LEVELS = range(13, 16)
# Entries of `Desk.table`.
HELD, DEBTS, CHAINS, ARCS, BASE_DEBTS, BASE_CHAINS, MARKS, SPANS, LEVELS, SOURCES, STACK = range(11)
BITS_NOW, PAGED, POOL, BASE_BITS, LOG, META = range(11, 17)

#: What must be free before the flow of an edge is changed, which takes one page and three entries at most; what is sent
#: over two edges is asked for once.
PAGES_LEFT, ENTRIES_LEFT = 2, 8

#: Answers of a loop for which the scratch tables are too small, and of one that found an edge with room that has none:
#: capacities were changed after they had been looked at.
FULL, BROKEN = -2, -3


class Desk(NamedTuple):
    """Scratch tables of one thread.

    Attributes:
        table: `[17]`, addresses of the arrays below.
        place: address of the table: loops are given this.
        held: `[nodes]`, what a node has and has not sent on.
        debts: `[nodes]`, what it is owed.
        chains: `[nodes]`, flow of the stream edge into it.
        arcs: `[nodes]`, where it goes on asking, beside the number of the search for which that holds.
        base_debts: `[nodes]`, what the base flow is owed; while it is laid, what its nodes gave.
        base_chains: `[nodes]`, its flow along streams.
        marks: `[7 * words]`, sets of nodes.
        spans: `[groups * 2]`, first word with a node not seen yet, and the word after the last.
        levels: `[distances * words]`, nodes by their distance from what is left to send, from 1.
        sources: `[nodes]`.
        stack: `[(nodes + 2) * 8]`.
        bits: see `Net`.
        pages: `[pages of edges]`, int32, the page of the pool, 0 for one without flow.
        pool: `[pages in the pool * 8]`, flow of each edge; the first page is empty.
        base_bits: `bits` of the base flow.
        log: `[entries * 2]`, what a flow has changed, the base first: the place of a pair of words of bits, or -1 less
            a page of edges, and beside it the page of the pool that it had.
        meta: `[16]`.
    """

    table: Ints
    place: int
    held: Ints
    debts: Ints
    chains: Ints
    arcs: Ints
    base_debts: Ints
    base_chains: Ints
    marks: Ints
    spans: Ints
    levels: Ints
    sources: Ints
    stack: Ints
    bits: Ints
    pages: NDArray[np.int32]
    pool: Ints
    base_bits: Ints
    log: Ints
    meta: Ints


def make(net: Net, edges: int, distances: int) -> Desk:
    """Allocates scratch tables, without a flow, for so many edges with flow."""
    ready()  # without scratch no loop that calls one apart can be called
    nodes, words = len(net.along), len(net.words)
    meta = np.zeros(16, dtype=np.int64)
    meta[[PAGES, BASE_PAGES]] = 1
    meta[[MOST_PAGES, MOST_LOGGED, MOST_LEVELS]] = edges + 2, 3 * edges + 16, distances
    arrays: dict[str, NDArray[Any]] = {
        "held": np.zeros(nodes, dtype=np.int64),
        "debts": np.zeros(nodes, dtype=np.int64),
        "chains": np.zeros(nodes, dtype=np.int64),
        "arcs": np.zeros(nodes, dtype=np.int64),
        "base_debts": np.zeros(nodes, dtype=np.int64),
        "base_chains": np.zeros(nodes, dtype=np.int64),
        "marks": np.zeros(7 * words, dtype=np.int64),
        "spans": np.zeros(len(net.groups) // 4, dtype=np.int64),
        "levels": np.zeros(distances * words, dtype=np.int64),
        "sources": np.zeros(nodes, dtype=np.int64),
        "stack": np.zeros(8 * (nodes + 2), dtype=np.int64),
        "bits": net.bits.copy(),
        "pages": np.zeros((net.given.size >> PAGE) + 1, dtype=np.int32),
        "pool": np.zeros((edges + 2) << PAGE, dtype=np.int64),
        "base_bits": net.bits.copy(),
        "log": np.zeros(2 * (3 * edges + 16), dtype=np.int64),
        "meta": meta,
    }
    table = np.array([address(array) for array in arrays.values()], dtype=np.int64)
    return Desk(table=table, place=address(table), **arrays)


def set_up(desk: Desk, useful: Ints, *, game: int, sink: int, deepest: int, wide: bool) -> None:
    """Hands tables on to a game. What flow is still in them goes when a base flow is laid, see `games.owe`.

    Args:
        desk: the tables.
        useful: words of bits: nodes that lead to the target; others are never in play.
        game: entry of `meta`, as are the others.
        sink: the position whose stream is the sink where streams are open, else -1.
        deepest: last group of nodes of which any but the target is owed anything.
        wide: True if a first phase takes wide edges only.
    """
    row(desk, PLAYING)[:] = useful
    desk.meta[[GAME, SINK, DEEPEST, WIDE, OPEN]] = game, sink, deepest, wide, sink >= 0
    desk.meta[[LOW_END, HIGH_END]] = -1


def row(desk: Desk, mark: int) -> Ints:
    """One of the rows of `marks`, a view."""
    found: Ints = desk.marks.reshape(7, -1)[mark]
    return found


@inner
def keep(net, desk):
    """Makes the present flow the base: it is what `restore` goes back to."""
    log, bits, base_bits, meta = get(desk, LOG), get(desk, BITS_NOW), get(desk, BASE_BITS), get(desk, META)
    debts, chains, marks = get(desk, DEBTS), get(desk, CHAINS), get(desk, MARKS)
    base_debts, base_chains, words = get(desk, BASE_DEBTS), get(desk, BASE_CHAINS), get(net, WORD_COUNT)
    put(meta, BASE_LOGGED, get(meta, LOGGED))
    put(meta, BASE_PAGES, get(meta, PAGES))
    for i in range(get(meta, LOGGED)):
        place = get(log, 2 * i)
        if place >= 0:
            put(base_bits, place, get(bits, place))
            put(base_bits, place + 1, get(bits, place + 1))
    for node in range(get(net, NODE_COUNT)):
        put(base_debts, node, get(debts, node))
        put(base_chains, node, get(chains, node))
    for w in range(words):
        put(marks, BASE_OWED * words + w, get(marks, OWED * words + w))


@inner
def forget(net, desk):
    """Takes all flow back, the base too: that is then none."""
    log, bits, base_bits, pages = get(desk, LOG), get(desk, BITS_NOW), get(desk, BASE_BITS), get(desk, PAGED)
    base_debts, base_chains, marks = get(desk, BASE_DEBTS), get(desk, BASE_CHAINS), get(desk, MARKS)
    meta, there, words = get(desk, META), get(net, THERE), get(net, WORD_COUNT)
    for i in range(get(meta, LOGGED)):
        place = get(log, 2 * i)
        if place >= 0:
            for word in range(place, place + 2):
                put(bits, word, get(there, word))
                put(base_bits, word, get(there, word))
        else:
            put_short(pages, -1 - place, 0)
    put(meta, LOGGED, 0)
    put(meta, BASE_LOGGED, 0)
    put(meta, BASE_PAGES, 1)
    for node in range(get(net, NODE_COUNT)):
        put(base_debts, node, 0)
        put(base_chains, node, 0)
    for w in range(words):
        put(marks, BASE_OWED * words + w, 0)
    restore(net, desk)


@inner
def restore(net, desk):
    """Takes flow back, down to the base."""
    log, bits, base_bits, pages = get(desk, LOG), get(desk, BITS_NOW), get(desk, BASE_BITS), get(desk, PAGED)
    held, debts, chains, meta = get(desk, HELD), get(desk, DEBTS), get(desk, CHAINS), get(desk, META)
    base_debts, base_chains, marks = get(desk, BASE_DEBTS), get(desk, BASE_CHAINS), get(desk, MARKS)
    words = get(net, WORD_COUNT)
    for i in range(get(meta, BASE_LOGGED), get(meta, LOGGED)):
        place = get(log, 2 * i)
        if place >= 0:
            put(bits, place, get(base_bits, place))
            put(bits, place + 1, get(base_bits, place + 1))
        else:
            put_short(pages, -1 - place, get(log, 2 * i + 1))
    put(meta, LOGGED, get(meta, BASE_LOGGED))
    put(meta, PAGES, get(meta, BASE_PAGES))
    for node in range(get(net, NODE_COUNT)):
        put(held, node, 0)
        put(debts, node, get(base_debts, node))
        put(chains, node, get(base_chains, node))
    for w in range(words):
        put(marks, OWED * words + w, get(marks, BASE_OWED * words + w))
        put(marks, ALIVE * words + w, get(marks, PLAYING * words + w))
