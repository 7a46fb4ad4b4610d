"""Solving with the weighted Laplacian of a layered graph, to full relative accuracy.

The matrix is M = D - W: conductances W >= 0 between the unknown nodes, and D whatever makes row i sum to
its conductance to grounded nodes, `excess[i] >= 0`. Conductances here differ by forty orders of magnitude,
so that the diagonal of M, as a float64 sum, would have forgotten the small ones. Elimination therefore
never forms it: it keeps off-diagonal entries and excesses, and every update of either adds positive
numbers. No subtraction means no cancellation, and each entry of the factors has a small relative error
whatever the condition number (Grassmann, Taksar & Heyman 1985; Alfa, Xue & Ye 2002, Math. Comp. 71).

Nodes come in blocks (one per group of the network). Blocks are eliminated one at a time in an order that
makes little work; for a chain of layers that is block tridiagonal elimination. A block without entries of
its own, not even by fill, is eliminated by division; so the nodes between self- and cross-attention go
first, and what is left of a decoder is a chain beside the encoder's last layer. All heavy work is matrix
products of non-negative matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]
#: Rows and columns of the entries of a block in which no row and no column has two.
Matching = tuple[Ints, Ints]

#: Largest block that the compiled loop eliminates; larger ones are halved.
LEAF = 64
#: Rows at a time of a product with a triangle.
PANEL = 128


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where entries of a block matrix are stored, and in which order its blocks are eliminated.

    Attributes:
        order: block numbers, first eliminated first; of blocks that have unknowns at all.
        sizes: `[blocks]`, unknowns in each.
        start: `[blocks + 1]`, first unknown of each.
        later: per block its neighbours at the time it is eliminated, in order of elimination.
        empty: per block whether it has no entries of its own at that time.
        matching: per pair (earlier, later) whose entries, at that time, meet no node twice where they are.
        offset: `[blocks, blocks]`, where the block of (earlier, later) starts in the flat storage.
        size: length of the flat storage.
    """

    order: tuple[int, ...]
    sizes: Ints
    start: Ints
    later: tuple[tuple[int, ...], ...]
    empty: tuple[bool, ...]
    matching: Mapping[tuple[int, int], Matching]
    offset: Ints
    size: int
    _rank: Ints = field(repr=False)

    def place(self, block: Ints, i: Nodes, j: Nodes) -> Ints:
        """Positions in the flat storage of the entries between nodes i and j; -1 where there is none.

        Args:
            block: `[unknowns]`, block of each unknown.
            i: nodes: unknowns, or larger numbers for fixed ones.
            j: nodes.
        """
        places = np.empty(i.size, dtype=np.int64)
        _place(block, self.start, self.sizes, self._rank, self.offset, i, j, places)
        return places


def pattern(
    sizes: Ints,
    pairs: Iterable[tuple[int, int]],
    empty: Iterable[int] = (),
    matching: Mapping[tuple[int, int], Matching] | None = None,
) -> Pattern:
    """Plans the elimination.

    Args:
        sizes: unknowns per block.
        pairs: pairs of different blocks with entries between them.
        empty: blocks that have no entries of their own.
        matching: pairs, the first number below the second, whose entries meet no node twice.
    """
    count = len(sizes)
    beside: list[set[int]] = [set() for _ in range(count)]
    for a, b in pairs:
        beside[a].add(b)
        beside[b].add(a)
    hollow = set(empty)
    thin = dict(matching or {})
    left = {block for block in range(count) if sizes[block]}
    order: list[int] = []
    later: list[tuple[int, ...]] = [()] * count
    hollow_then: list[bool] = [False] * count
    thin_then: dict[tuple[int, int], Matching] = {}

    def wide(block: int) -> int:
        return sum(int(sizes[other]) for other in beside[block] & left if not is_thin(block, other))

    def is_thin(a: int, b: int) -> bool:
        return (min(a, b), max(a, b)) in thin

    def work(block: int) -> tuple[int, int]:
        own, rest = int(sizes[block]), sum(int(sizes[other]) for other in beside[block] & left)
        if block in hollow:  # and the earliest layer first
            return own * wide(block) * rest, block
        return own * (own + rest) * (own + rest), block

    while left:
        block = min(left, key=work)
        left.remove(block)
        order.append(block)
        rest = beside[block] & left
        hollow_then[block] = block in hollow
        for other in rest:
            if block in hollow and is_thin(block, other):
                rows, columns = thin[min(block, other), max(block, other)]
                thin_then[block, other] = (rows, columns) if block < other else (columns, rows)
            else:
                hollow.discard(other)
            for third in rest - {other}:
                thin.pop((min(other, third), max(other, third)), None)
            beside[other] |= rest - {other}
        later[block] = tuple(rest)
    rank = np.full(count, count, dtype=np.int64)
    rank[order] = np.arange(len(order))
    offset = np.full((count, count), -1, dtype=np.int64)
    size = 0
    for block in order:
        later[block] = tuple(sorted(later[block], key=lambda other: int(rank[other])))
        for other in (block, *later[block]):
            offset[block, other] = size
            size += int(sizes[block]) * int(sizes[other])
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Pattern(
        order=tuple(order),
        sizes=np.asarray(sizes, dtype=np.int64),
        start=start,
        later=tuple(later),
        empty=tuple(hollow_then),
        matching=thin_then,
        offset=offset,
        size=size,
        _rank=rank,
    )


@dataclass(frozen=True, eq=False)
class Factor:
    """A factorised Laplacian; see `factorise`.

    Attributes:
        pattern: its storage.
        roots: `[unknowns]`, square roots of the pivots.
        inverse: per block that has entries of its own the inverse of its unit lower triangle, `[size, size]`,
            non-negative.
        beyond: per block and later neighbour the eliminated rows over the roots, `[size, size of neighbour]`,
            non-negative.
    """

    pattern: Pattern
    roots: Floats
    inverse: dict[int, Floats]
    beyond: dict[int, list[Floats]]

    def solve(self, right: Floats) -> Floats:
        """Returns x with M x = right, both `[unknowns]`."""
        plan = self.pattern
        x = right.copy()
        for block in plan.order:
            own = slice(plan.start[block], plan.start[block + 1])
            if block in self.inverse:
                x[own] = self.inverse[block] @ x[own]
            share = x[own] / self.roots[own]
            for other, part in zip(plan.later[block], self.beyond[block]):
                x[plan.start[other] : plan.start[other + 1]] += share @ part
        for block in reversed(plan.order):
            own = slice(plan.start[block], plan.start[block + 1])
            x[own] /= self.roots[own]
            for other, part in zip(plan.later[block], self.beyond[block]):
                x[own] += part @ x[plan.start[other] : plan.start[other + 1]]
            x[own] /= self.roots[own]
            if block in self.inverse:
                x[own] = x[own] @ self.inverse[block]
        return x


def factorise(plan: Pattern, entries: Floats, excess: Floats) -> Factor:
    """Factorises M.

    Args:
        plan: the storage.
        entries: `[plan.size]`, conductances; overwritten by the factor, which lives there. Within a block only
            entries above the diagonal count.
        excess: `[unknowns]`, conductance to grounded nodes; overwritten. Every connected component needs
            some.
    """

    def view(one: int, two: int) -> Floats:
        first = plan.offset[one, two]
        rows, columns = int(plan.sizes[one]), int(plan.sizes[two])
        return entries[first : first + rows * columns].reshape(rows, columns)

    roots = np.empty_like(excess)
    inverse: dict[int, Floats] = {}
    beyond: dict[int, list[Floats]] = {}
    for block in plan.order:
        own = slice(plan.start[block], plan.start[block + 1])
        later = plan.later[block]
        beyond[block] = parts = [view(block, other) for other in later]
        pivots = excess[own] + sum(part.sum(axis=1) for part in parts)
        lost = excess[own].copy()
        if not plan.empty[block]:
            inverse[block] = triangle = view(block, block)
            _eliminate(triangle, pivots)
            for part in parts:
                _below(triangle, part)
            lost = triangle @ lost
        roots[own] = root = np.sqrt(pivots)
        lost /= root
        for part in parts:
            part /= root[:, None]
        for number, (other, part) in enumerate(zip(later, parts)):
            excess[plan.start[other] : plan.start[other + 1]] += lost @ part
            for third, wide in zip(later[number:], parts[number:]):
                into = view(other, third)
                if (block, other) in plan.matching:
                    rows, columns = plan.matching[block, other]
                    if third != other:  # else on the diagonal
                        into[columns] += part[rows, columns][:, None] * wide[rows]
                elif (block, third) in plan.matching:
                    rows, columns = plan.matching[block, third]
                    into[:, columns] += part[rows].T * wide[rows, columns]
                else:
                    into += part.T @ wide
    return Factor(plan, roots, inverse, beyond)


def _below(triangle: Floats, rows: Floats) -> None:
    """Replaces `rows` by `triangle @ rows`, from the last up, sparing most of the zeros above the diagonal."""
    for last in range(len(rows), 0, -PANEL):
        first = max(last - PANEL, 0)
        rows[first:last] = triangle[first:last, :last] @ rows[:last]


def _eliminate(W: Floats, outside: Floats) -> None:
    """Eliminates one dense block.

    Args:
        W: `[n, n]`, conductances above the diagonal; overwritten by the inverse of the unit lower triangle.
        outside: `[n]`, conductance of each node to everything beyond the block; overwritten by the pivots.
    """
    n = outside.size
    if n <= LEAF:
        small = np.ascontiguousarray(W)
        _eliminate_leaf(small, outside)
        W[...] = small
        return
    half = n // 2
    first, second, B = W[:half, :half], W[half:, half:], W[:half, half:]
    lost = outside[:half].copy()
    outside[:half] += B.sum(axis=1)
    _eliminate(first, outside[:half])
    root = np.sqrt(outside[:half])
    _below(first, B)
    B /= root[:, None]
    second += B.T @ B
    outside[half:] += ((first @ lost) / root) @ B
    _eliminate(second, outside[half:])
    W[half:, :half] = second @ (B.T @ (first / root[:, None]))
    B[...] = 0.0


def _njit(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")(function)


@_njit
def _eliminate_leaf(W: Floats, outside: Floats) -> None:
    """As `_eliminate`, on a contiguous block."""
    n = outside.size
    for k in range(n):
        row = W[k]
        pivot = outside[k]
        for j in range(k + 1, n):
            pivot += row[j]
        leaving = outside[k] / pivot
        for i in range(k + 1, n):
            share = row[i] / pivot
            outside[i] += row[i] * leaving
            W[i, k] = share  # the multiplier
            into, add = W[i, i + 1 :], W[k, i + 1 :]
            for j in range(into.size):
                into[j] += share * add[j]
        outside[k] = pivot
    one = np.empty(n)
    for i in range(n):
        row = W[i]
        for k in range(n):
            one[k] = 0.0
        one[i] = 1.0
        for k in range(i):
            share, add = row[k], W[k, : k + 1]
            for j in range(add.size):
                one[j] += share * add[j]
        for k in range(n):
            row[k] = one[k]


@_njit
def _place(
    block: Ints,
    start: Ints,
    sizes: Ints,
    rank: Ints,
    offset: Ints,
    i: Nodes,
    j: Nodes,
    places: Ints,
) -> None:
    """See `Pattern.place`; `rank` tells when a block is eliminated."""
    for e in range(i.size):
        first, second = i[e], j[e]
        places[e] = -1
        if max(first, second) >= block.size or first == second:
            continue
        one, two = block[first], block[second]
        if rank[one] > rank[two] or (one == two and first > second):
            first, second, one, two = second, first, two, one
        places[e] = offset[one, two] + (first - start[one]) * sizes[two] + second - start[two]
