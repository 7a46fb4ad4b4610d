"""What hangs together with what: reachable nodes, strong components, connected components.

Compiled loops on plain lists of edges. All arrays of nodes are indexed by node number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]


def _njit(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False)(function)


@_njit
def by_tail(tail: Nodes, head: Nodes, nodes: int) -> tuple[Ints, Nodes]:
    """Sorts edges by where they start.

    Returns:
        `[nodes + 1]` where each node's edges begin, and `[edges]` the heads in that order.
    """
    start = np.zeros(nodes + 1, dtype=np.int64)
    for e in range(tail.size):
        start[tail[e] + 1] += 1
    for i in range(nodes):
        start[i + 1] += start[i]
    place = start[:-1].copy()
    heads = np.empty(tail.size, dtype=np.int32)
    for e in range(tail.size):
        heads[place[tail[e]]] = head[e]
        place[tail[e]] += 1
    return start, heads


@_njit
def reached(start: Ints, heads: Nodes, seed: int) -> NDArray[np.bool_]:
    """Marks every node that a directed path from `seed` leads to, `seed` included."""
    nodes = start.size - 1
    seen = np.zeros(nodes, dtype=np.bool_)
    queue = np.empty(nodes, dtype=np.int64)
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
    return seen


@_njit
def strong_components(start: Ints, heads: Nodes) -> Ints:
    """Numbers the strongly connected components (Tarjan 1972, without recursion)."""
    nodes = start.size - 1
    label = np.full(nodes, -1, dtype=np.int64)
    number = np.zeros(nodes, dtype=np.int64)  # order of discovery, from 1
    low = np.zeros(nodes, dtype=np.int64)
    arc = start[:-1].copy()
    open_nodes = np.empty(nodes, dtype=np.int64)
    path = np.empty(nodes, dtype=np.int64)
    opened = found = components = 0
    for root in range(nodes):
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
    return label


@_njit
def joined(tail: Nodes, head: Nodes, nodes: int) -> tuple[Nodes, int]:
    """Numbers the connected components, directions ignored.

    Returns:
        `[nodes]` component numbers from 0 up in the order of their first node, and the first edge that
        closes a loop, or -1.
    """
    parent = np.arange(nodes)
    loop = -1
    for e in range(tail.size):
        a, b = tail[e], head[e]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b:
            if loop < 0:
                loop = e
        elif a < b:
            parent[b] = a
        else:
            parent[a] = b
    label = np.empty(nodes, dtype=np.int32)
    count = 0
    for i in range(nodes):
        if parent[i] == i:
            label[i] = count
            count += 1
        else:
            label[i] = label[parent[i]]
    return label, loop


@_njit
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
