"""Solving with the weighted Laplacian of a layered graph, to full relative accuracy.

The matrix is M = D - W: conductances W >= 0 between the unknown nodes, and D whatever makes row i sum to
its conductance to grounded nodes, `excess[i] >= 0`. Conductances here differ by forty orders of magnitude,
so that the diagonal of M, as a float64 sum, would have forgotten the small ones. Elimination therefore
never forms it: it keeps off-diagonal entries and excesses, and every update of either adds positive
numbers. No subtraction means no cancellation, and each entry of the factors has a small relative error
whatever the condition number (Grassmann, Taksar & Heyman 1985; Alfa, Xue & Ye 2002, Math. Comp. 71).

Nodes come in blocks, into which the groups of the network are cut. Blocks are eliminated one at a time in
an order that makes little work; for a chain of layers that is block tridiagonal elimination. A block
without entries of its own, not even by fill, is eliminated by division; so the nodes between self- and
cross-attention go first, and what is left of a decoder is a chain beside the encoder's last layer. All
heavy work is matrix products of non-negative matrices.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attnflow.maxflow.loops import entry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]
#: Rows and columns of the entries of a block in which no row and no column has two.
Matching = tuple[Ints, Ints]

#: Largest block that the compiled loop eliminates; larger ones are halved.
LEAF = 64


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
        offset: `[blocks, blocks]`, where the block of (earlier, later) starts in the flat storage: each block
            has a square for itself, then its rows towards all later ones side by side.
        width: `[blocks]`, length of those rows.
        size: length of the flat storage.
    """

    order: tuple[int, ...]
    sizes: Ints
    start: Ints
    later: tuple[tuple[int, ...], ...]
    empty: tuple[bool, ...]
    matching: Mapping[tuple[int, int], Matching]
    offset: Ints
    width: Ints
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
        _place(block, self.start, self.sizes, self.width, self._rank, self.offset, i, j, places)
        return places

    def square(self, entries: Floats, block: int) -> Floats:
        """A block's own part of the storage, `[size, size]`."""
        first, size = int(self.offset[block, block]), int(self.sizes[block])
        return entries[first : first + size * size].reshape(size, size)

    def rows(self, entries: Floats, block: int) -> Floats:
        """What the storage has between a block and all later ones, `[size, width]`."""
        size, width = int(self.sizes[block]), int(self.width[block])
        first = int(self.offset[block, block]) + size * size
        return entries[first : first + size * width].reshape(size, width)

    def spans(self, block: int) -> list[slice]:
        """Where each later block lies in `rows`."""
        ends = np.cumsum([0, *(int(self.sizes[other]) for other in self.later[block])]).tolist()
        return [slice(first, last) for first, last in itertools.pairwise(ends)]


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
    width = np.zeros(count, dtype=np.int64)
    size = 0
    for block in order:
        later[block] = tuple(sorted(later[block], key=lambda other: int(rank[other])))
        own = int(sizes[block])
        offset[block, block] = size
        for other in later[block]:
            offset[block, other] = size + own * own + width[block]
            width[block] += int(sizes[other])
        size += own * (own + int(width[block]))
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Pattern(
        order=tuple(order),
        sizes=np.asarray(sizes, dtype=np.int64),
        start=start,
        later=tuple(later),
        empty=tuple(hollow_then),
        matching=thin_then,
        offset=offset,
        width=width,
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
        beyond: per block the eliminated rows towards its later neighbours over the roots, `[size, width]`,
            non-negative.
    """

    pattern: Pattern
    roots: Floats
    inverse: dict[int, Floats]
    beyond: dict[int, Floats]

    def solve(self, right: Floats) -> Floats:
        """Returns x with M x = right, both `[unknowns]`."""
        plan = self.pattern
        x = right.copy()
        for block in plan.order:
            own = slice(plan.start[block], plan.start[block + 1])
            if block in self.inverse:
                x[own] = self.inverse[block] @ x[own]
            if plan.later[block]:
                _spread(plan, x, block, (x[own] / self.roots[own]) @ self.beyond[block])
        for block in reversed(plan.order):
            own = slice(plan.start[block], plan.start[block + 1])
            x[own] /= self.roots[own]
            if plan.later[block]:
                x[own] += self.beyond[block] @ self._gather(x, block)
            x[own] /= self.roots[own]
            if block in self.inverse:
                x[own] = x[own] @ self.inverse[block]
        return x

    def _gather(self, x: Floats, block: int) -> Floats:
        start = self.pattern.start
        return np.concatenate([x[start[other] : start[other + 1]] for other in self.pattern.later[block]])


def _spread(plan: Pattern, x: Floats, block: int, addend: Floats) -> None:
    """Adds `[width]` numbers to those of the later blocks."""
    at = 0
    for other in plan.later[block]:
        first, last = plan.start[other], plan.start[other + 1]
        x[first:last] += addend[at : at + last - first]
        at += last - first


def factorise(plan: Pattern, entries: Floats, excess: Floats) -> Factor:
    """Factorises M.

    Args:
        plan: the storage.
        entries: `[plan.size]`, conductances; overwritten by the factor, which lives there. Within a block only
            entries above the diagonal count.
        excess: `[unknowns]`, conductance to grounded nodes; overwritten. Every connected component needs
            some.
    """
    roots = np.empty_like(excess)
    inverse: dict[int, Floats] = {}
    beyond = {block: plan.rows(entries, block) for block in plan.order}
    squares = {block: plan.square(entries, block) for block in plan.order}
    spans = {block: dict(zip(plan.later[block], plan.spans(block))) for block in plan.order}
    for block in plan.order:
        own = slice(plan.start[block], plan.start[block + 1])
        rows = beyond[block]
        lost = excess[own].copy()
        pivots = excess[own] + rows.sum(axis=1)
        if not plan.empty[block]:
            inverse[block] = triangle = squares[block]
            _eliminate(triangle, pivots)
            rows[...] = triangle @ rows
            lost = triangle @ lost
        roots[own] = root = np.sqrt(pivots)
        rows /= root[:, None]
        _spread(plan, excess, block, (lost / root) @ rows)
        for other, span in spans[block].items():
            part, ahead = rows[:, span], rows[:, span.start :]
            if (block, other) in plan.matching:
                few, columns = plan.matching[block, other]
                added = np.zeros((part.shape[1], ahead.shape[1]))
                added[columns] = part[few, columns][:, None] * ahead[few]
            else:
                added = part.T @ ahead
            squares[other] += added[:, : part.shape[1]]
            for third, where in spans[block].items():
                if where.start > span.start:
                    into = beyond[other][:, spans[other][third]]
                    into += added[:, where.start - span.start : where.stop - span.start]
    return Factor(plan, roots, inverse, beyond)


def _eliminate(W: Floats, outside: Floats) -> None:
    """Eliminates one dense block.

    Args:
        W: `[n, n]`, conductances above the diagonal; overwritten by the inverse of the unit lower triangle.
        outside: `[n]`, conductance of each node to everything beyond the block; overwritten by the pivots.
    """
    n = outside.size
    if n <= LEAF:
        small = np.ascontiguousarray(W)
        _eliminate_leaf(small, outside, np.empty(n))
        W[...] = small
        return
    half = n // 2
    first, second, B = W[:half, :half], W[half:, half:], W[:half, half:]
    lost = outside[:half].copy()
    outside[:half] += B.sum(axis=1)
    _eliminate(first, outside[:half])
    root = np.sqrt(outside[:half])
    B[...] = (first @ B) / root[:, None]
    second += B.T @ B
    outside[half:] += ((first @ lost) / root) @ B
    _eliminate(second, outside[half:])
    W[half:, :half] = second @ (B.T @ (first / root[:, None]))
    B[...] = 0.0


@entry
def _eliminate_leaf(W: Floats, outside: Floats, one: Floats) -> None:
    """As `_eliminate`, on a contiguous block; `one` is scratch for a row."""
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


@entry
def _place(
    block: Ints,
    start: Ints,
    sizes: Ints,
    width: Ints,
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
        stride = sizes[one] if one == two else width[one]
        places[e] = offset[one, two] + (first - start[one]) * stride + second - start[two]
