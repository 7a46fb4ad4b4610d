"""Scratch tables of one thread: a flow, as far as it differs from none, and how to take it back.

Amounts on block edges lie in pages of eight, and a page exists once one of its edges carries flow, so that a flow
costs as much memory, and as much to forget, as the edges it uses. An edge that carries all it can needs no page.
Whatever a flow changes, a page's number or a pair of words of bits, is written to a log with what was there before;
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
)
from attnflow.maxflow.net import (
    NODE_COUNT,
    WORD_COUNT,
    Ints,
    Net,
    as_bits,
)

#: Edges in a page, as a power of two.
PAGE = 3
#: Distances of a search, for each group of nodes, up to which there is place at first.
DISTANCES = 8

# Columns of `state`: what a node has and has not sent on; what it is owed; flow of the stream edge into it; where it
# goes on asking, beside the number of the search for which that holds.
SUPPLY, DEBT, CHAIN, ARC = range(4)
# Rows of `marks`: nodes that lead to the target; of those, the ones in play; of those, the ones not seen yet; nodes
# that are owed something, now and by the base; the senders' side of a cut.
PLAYING, ALIVE, UNSEEN, OWED, BASE_OWED, SENDING = range(6)
# Entries of `meta`: pages and log entries in use, by the base and in all; the position that a node asks first, -1 for
# none; 1 if streams are infinite and cost no distance; the position whose stream is the sink, or -1; last group
# of nodes of which any but the target is owed anything; 1 if a first phase takes wide edges only; positions between
# which the base starts; 1 if it is for single players; the number of searches; and for how many pages, log entries and
# distances there is place.
PAGES, BASE_PAGES, LOGGED, BASE_LOGGED, HINT, OPEN, SINK, DEEPEST, WIDE, LOW_END, HIGH_END, ALONE, CLOCK = (
    range(13)
)
MOST_PAGES, MOST_LOGGED, MOST_LEVELS = range(13, 16)
# Entries of `Desk.table`.
STATE, BASES, MARKS, SPANS, LEVELS, SOURCES, STACK, BITS_NOW, PAGED, POOL, LOG, META, AUGMENT = range(13)

#: What must be free before the flow of an edge is changed, which takes one page and three entries at most; what is sent
#: over two edges is asked for once.
PAGES_LEFT, ENTRIES_LEFT = 2, 8

#: Answers of a loop for which the scratch tables are too small, and of one that found an edge with room that has none:
#: capacities were changed after they had been looked at.
FULL, BROKEN = -2, -3


class Desk(NamedTuple):
    """Scratch tables of one thread.

    Attributes:
        table: `[13]`, addresses of the following and of the loop `augment`; loops are given this.
        state: `[nodes * 4]`.
        base: `[nodes * 2]`, what the base flow is owed, and its flow along streams.
        marks: `[6 * words]`, sets of nodes.
        spans: `[groups * 2]`, first word with a node not seen yet, and the word after the last.
        levels: `[distances * words]`, nodes by their distance from what is left to send, from 1.
        sources: `[nodes]`.
        stack: `[(nodes + 2) * 8]`.
        bits: see `Net`.
        pages: `[pages of edges]`, int32, the page of the pool, 0 for one without flow.
        pool: `[pages in the pool * 8]`, flow of each edge; the first page is empty.
        log: `[entries * 4]`: the first of a pair of words of bits and what they were, or -1 less a page of edges and
            the page of the pool that it had.
        meta: `[16]`.
    """

    table: Ints
    state: Ints
    base: Ints
    marks: Ints
    spans: Ints
    levels: Ints
    sources: Ints
    stack: Ints
    bits: Ints
    pages: NDArray[np.int32]
    pool: Ints
    log: Ints
    meta: Ints


def make(net: Net, useful: NDArray[np.bool_], edges: int, distances: int, augment: int) -> Desk:
    """Allocates scratch tables, without a flow, for so many edges with flow; `augment` is that loop's address.

    Nodes that are not useful, for they do not lead to the target, are never in play.
    """
    count, words = len(net.along), len(net.words)
    marks = np.zeros((6, words), dtype=np.int64)
    marks[PLAYING] = marks[ALIVE] = as_bits(net, useful)
    meta = np.zeros(16, dtype=np.int64)
    meta[[PAGES, BASE_PAGES]] = 1
    meta[[HINT, SINK, LOW_END, HIGH_END]] = -1
    meta[DEEPEST] = len(net.groups) // 8
    meta[[MOST_PAGES, MOST_LOGGED, MOST_LEVELS]] = edges + 2, 3 * edges + 16, distances
    arrays: dict[str, NDArray[Any]] = {
        "state": np.zeros(4 * count, dtype=np.int64),
        "base": np.zeros(2 * count, dtype=np.int64),
        "marks": marks.ravel(),
        "spans": np.zeros(len(net.groups) // 4, dtype=np.int64),
        "levels": np.zeros(distances * words, dtype=np.int64),
        "sources": np.zeros(count, dtype=np.int64),
        "stack": np.zeros(8 * (count + 2), dtype=np.int64),
        "bits": net.bits.copy(),
        "pages": np.zeros((net.given.size >> PAGE) + 1, dtype=np.int32),
        "pool": np.zeros((edges + 2) << PAGE, dtype=np.int64),
        "log": np.zeros(4 * (3 * edges + 16), dtype=np.int64),
        "meta": meta,
    }
    table = np.array([*(address(array) for array in arrays.values()), augment], dtype=np.int64)
    return Desk(table=table, **arrays)


def row(desk: Desk, mark: int) -> Ints:
    """One of the rows of `marks`, a view."""
    found: Ints = desk.marks.reshape(6, -1)[mark]
    return found


@inner
def restore(net, desk, base):
    """Takes flow back: down to the base, or all of it."""
    log, bits, pages, meta = get(desk, LOG), get(desk, BITS_NOW), get(desk, PAGED), get(desk, META)
    state, marks, bases = get(desk, STATE), get(desk, MARKS), get(desk, BASES)
    count, words = get(net, NODE_COUNT), get(net, WORD_COUNT)
    if not base:
        put(meta, BASE_LOGGED, 0)
        put(meta, BASE_PAGES, 1)
        for i in range(2 * count):
            put(bases, i, 0)
        for w in range(words):
            put(marks, BASE_OWED * words + w, 0)
    for i in range(get(meta, LOGGED) - 1, get(meta, BASE_LOGGED) - 1, -1):
        place = get(log, 4 * i)
        if place >= 0:
            put(bits, place, get(log, 4 * i + 1))
            put(bits, place + 1, get(log, 4 * i + 2))
        else:
            put_short(pages, -1 - place, get(log, 4 * i + 1))
    put(meta, LOGGED, get(meta, BASE_LOGGED))
    put(meta, PAGES, get(meta, BASE_PAGES))
    for node in range(count):
        put(state, 4 * node + SUPPLY, 0)
        put(state, 4 * node + DEBT, get(bases, 2 * node))
        put(state, 4 * node + CHAIN, get(bases, 2 * node + 1))
    for w in range(words):
        put(marks, OWED * words + w, get(marks, BASE_OWED * words + w))
        put(marks, ALIVE * words + w, get(marks, PLAYING * words + w))
