"""What hangs together with what: reachable nodes, strong components, connected components.

Compiled loops on plain lists of edges. All arrays of nodes are indexed by node number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.maxflow.loops import entry

Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]


def by_tail(tail: Nodes, head: Nodes, nodes: int) -> tuple[Ints, Nodes]:
    """Sorts edges by where they start.

    Returns:
        `[nodes + 1]` where each node's edges begin, and `[edges]` the heads in that order.
    """
    start = np.concatenate([[0], np.cumsum(np.bincount(tail, minlength=nodes))]).astype(np.int64)
    heads = np.empty(tail.size, dtype=np.int32)
    _sort(tail, head, start[:-1].copy(), heads)
    return start, heads


@entry
def _sort(tail: Nodes, head: Nodes, place: Ints, heads: Nodes) -> None:
    for e in range(tail.size):
        heads[place[tail[e]]] = head[e]
        place[tail[e]] += 1


def reached(start: Ints, heads: Nodes, seed: int) -> NDArray[np.bool_]:
    """Marks every node that a directed path from `seed` leads to, `seed` included."""
    seen = np.zeros(start.size - 1, dtype=np.bool_)
    _reach(start, heads, seed, seen, np.empty(seen.size, dtype=np.int64))
    return seen


@entry
def _reach(start: Ints, heads: Nodes, seed: int, seen: NDArray[np.bool_], queue: Ints) -> None:
    queue[0] = seed
    seen[seed] = True
    front, back = 0, 1
    while front < back:
        node = queue[front]
        front += 1
        for a in range(start[node], start[node + 1]):
            other = heads[a]
            if not seen[other]:
                seen[other] = True
                queue[back] = other
                back += 1


def strong_components(start: Ints, heads: Nodes) -> Ints:
    """Numbers the strongly connected components (Tarjan 1972, without recursion)."""
    nodes = start.size - 1
    label = np.full(nodes, -1, dtype=np.int64)
    number, low, opened, path = np.zeros((4, nodes), dtype=np.int64)
    _strong(start, heads, label, number, low, start[:-1].copy(), opened, path)
    return label


@entry
def _strong(
    start: Ints, heads: Nodes, label: Ints, number: Ints, low: Ints, arc: Ints, open_nodes: Ints, path: Ints
) -> None:
    """See `strong_components`; `number` is the order of discovery, from 1."""
    opened = found = components = 0
    for root in range(label.size):
        if number[root] != 0:
            continue
        depth = 0
        path[0] = root
        found += 1
        number[root] = low[root] = found
        open_nodes[opened] = root
        opened += 1
        while depth >= 0:
            node = path[depth]
            if arc[node] < start[node + 1]:
                other = heads[arc[node]]
                arc[node] += 1
                if number[other] == 0:
                    depth += 1
                    path[depth] = other
                    found += 1
                    number[other] = low[other] = found
                    open_nodes[opened] = other
                    opened += 1
                elif label[other] < 0 and number[other] < low[node]:
                    low[node] = number[other]
                continue
            if low[node] == number[node]:
                while True:
                    opened -= 1
                    label[open_nodes[opened]] = components
                    if open_nodes[opened] == node:
                        break
                components += 1
            depth -= 1
            if depth >= 0 and low[node] < low[path[depth]]:
                low[path[depth]] = low[node]


def joined(tail: Nodes, head: Nodes, nodes: int) -> tuple[Nodes, int]:
    """Numbers the connected components, directions ignored.

    Returns:
        `[nodes]` component numbers from 0 up in the order of their first node, and the first edge that
        closes a loop, or -1.
    """
    label = np.empty(nodes, dtype=np.int32)
    return label, int(_join(tail, head, np.arange(nodes), label))


@entry
def _join(tail: Nodes, head: Nodes, parent: Ints, label: Nodes) -> int:
    first = -1
    for e in range(tail.size):
        a, b = np.int64(tail[e]), np.int64(head[e])
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b:
            if first < 0:
                first = e
        elif a < b:
            parent[b] = a
        else:
            parent[a] = b
    count = 0
    for i in range(parent.size):
        if parent[i] == i:
            label[i] = count
            count += 1
        else:
            label[i] = label[parent[i]]
    return first


@entry
def count_pairs(block: Ints, tail: Nodes, head: Nodes, count: Ints) -> None:
    """Counts the edges between different nodes of any two blocks, or of one.

    Args:
        block: `[nodes]`, block of each node; edges of nodes with larger numbers do not count.
        tail: `[edges]`.
        head: `[edges]`.
        count: `[blocks, blocks]`, added to, the smaller number first.
    """
    for e in range(tail.size):
        if max(tail[e], head[e]) < block.size and tail[e] != head[e]:
            a, b = block[tail[e]], block[head[e]]
            count[min(a, b), max(a, b)] += 1
