"""Solving with the weighted Laplacian of a layered graph, to full relative accuracy.

The matrix is M = D - W: conductances W >= 0 between the unknown nodes, and D whatever makes row i sum to
its conductance to grounded nodes, `excess[i] >= 0`. Conductances here differ by forty orders of magnitude,
so that the diagonal of M, as a float64 sum, would have forgotten the small ones. Elimination therefore
never forms it: it keeps off-diagonal entries and excesses, and every update of either adds positive
numbers. No subtraction means no cancellation, and each entry of the factors has a small relative error
whatever the condition number (Grassmann, Taksar & Heyman 1985; Alfa, Xue & Ye 2002, Math. Comp. 71).

Nodes come in blocks (one per group of the network). Blocks are eliminated one at a time in an order that
makes little fill; for a chain of layers that is block tridiagonal elimination. All heavy work is matrix
products of non-negative matrices.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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
        offset: `[blocks, blocks]`, where the block of (earlier, later) starts in the flat storage.
        size: length of the flat storage.
    """

    order: tuple[int, ...]
    sizes: Ints
    start: Ints
    later: tuple[tuple[int, ...], ...]
    offset: Ints
    size: int
    _rank: Ints = field(repr=False)

    def place(self, block: Ints, i: Ints, j: Ints) -> Ints:
        """Positions in the flat storage of the entries between unknowns i and j, all i != j.

        Args:
            block: `[unknowns]`, block of each unknown.
            i: unknowns.
            j: unknowns.
        """
        swap = self._rank[block[i]] > self._rank[block[j]]
        first, second = np.where(swap, j, i), np.where(swap, i, j)
        one, two = block[first], block[second]
        return self.offset[one, two] + (first - self.start[one]) * self.sizes[two] + second - self.start[two]


def pattern(sizes: Ints, pairs: Sequence[tuple[int, int]]) -> Pattern:
    """Plans the elimination.

    Args:
        sizes: unknowns per block.
        pairs: pairs of different blocks with entries between them.
    """
    count = len(sizes)
    beside: list[set[int]] = [set() for _ in range(count)]
    for a, b in pairs:
        beside[a].add(b)
        beside[b].add(a)
    left = {block for block in range(count) if sizes[block]}
    order: list[int] = []
    later: list[tuple[int, ...]] = [()] * count
    while left:
        # the least work now, then the earliest layer
        block = min(left, key=lambda one: (sum(int(sizes[other]) for other in beside[one] & left), one))
        left.remove(block)
        order.append(block)
        rest = beside[block] & left
        for other in rest:
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
    return Pattern(tuple(order), np.asarray(sizes, dtype=np.int64), start, tuple(later), offset, size, rank)


@dataclass(frozen=True, eq=False)
class Factor:
    """A factorised Laplacian; see `factorise`.

    Attributes:
        pattern: its storage.
        roots: `[unknowns]`, square roots of the pivots.
        inverse: per block the inverse of its unit lower triangle, `[size, size]`, non-negative.
        beyond: per block the eliminated rows towards its later neighbours over the roots, non-negative.
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
            x[own] = self.inverse[block] @ x[own]
            if plan.later[block]:
                self._spread(x, block, (x[own] / self.roots[own]) @ self.beyond[block])
        for block in reversed(plan.order):
            own = slice(plan.start[block], plan.start[block + 1])
            root = self.roots[own]
            if plan.later[block]:
                x[own] += root * (self.beyond[block] @ self._gather(x, block))
            x[own] = (x[own] / root / root) @ self.inverse[block]
        return x

    def _spread(self, x: Floats, block: int, addend: Floats) -> None:
        at = 0
        for other in self.pattern.later[block]:
            size = int(self.pattern.sizes[other])
            first = self.pattern.start[other]
            x[first : first + size] += addend[at : at + size]
            at += size

    def _gather(self, x: Floats, block: int) -> Floats:
        start = self.pattern.start
        return np.concatenate([x[start[other] : start[other + 1]] for other in self.pattern.later[block]])


def factorise(plan: Pattern, entries: Floats, excess: Floats) -> Factor:
    """Factorises M.

    Args:
        plan: the storage.
        entries: `[plan.size]`, conductances; overwritten. Within a block an entry may stand on either
            side of the diagonal, or be split between them; the diagonal itself is ignored.
        excess: `[unknowns]`, conductance to grounded nodes; overwritten. Every connected component needs
            some.
    """

    def view(one: int, two: int) -> Floats:
        first = plan.offset[one, two]
        rows, columns = int(plan.sizes[one]), int(plan.sizes[two])
        return entries[first : first + rows * columns].reshape(rows, columns)

    roots = np.empty_like(excess)
    inverse: dict[int, Floats] = {}
    beyond: dict[int, Floats] = {}
    for block in plan.order:
        view(block, block)[...] += view(block, block).T.copy()
    for block in plan.order:
        own = slice(plan.start[block], plan.start[block + 1])
        later = plan.later[block]
        rows = [view(block, other) for other in later]
        outside = excess[own] + sum(part.sum(axis=1) for part in rows)
        pivot, triangle = _eliminate(view(block, block), outside)
        roots[own], inverse[block] = np.sqrt(pivot), triangle
        if not later:
            continue
        beyond[block] = scaled = np.empty((outside.size, sum(part.shape[1] for part in rows)))
        ends = np.cumsum([0, *(part.shape[1] for part in rows)])
        parts = [scaled[:, first:last] for first, last in itertools.pairwise(ends)]
        for part, wide in zip(rows, parts):
            _below(triangle, part, wide)
        scaled /= roots[own, None]
        lost = ((triangle @ excess[own]) / roots[own]) @ scaled
        for number, (other, part) in enumerate(zip(later, parts)):
            excess[plan.start[other] : plan.start[other + 1]] += lost[ends[number] : ends[number + 1]]
            for third, wide in zip(later[number:], parts[number:]):
                view(other, third)[...] += part.T @ wide
    return Factor(plan, roots, inverse, beyond)


def _below(triangle: Floats, rows: Floats, out: Floats) -> None:
    """Writes `triangle @ rows` to `out`, sparing most of the zeros above the diagonal."""
    n = len(rows)
    if n <= 2 * LEAF:
        np.matmul(triangle, rows, out=out)
        return
    half = n // 2
    _below(triangle[half:, half:], rows[half:], out[half:])
    out[half:] += triangle[half:, :half] @ rows[:half]
    _below(triangle[:half, :half], rows[:half], out[:half])


def _eliminate(W: Floats, outside: Floats) -> tuple[Floats, Floats]:
    """Eliminates one dense block.

    Args:
        W: `[n, n]`, symmetric conductances; overwritten.
        outside: `[n]`, conductance of each node to everything beyond the block.

    Returns:
        Pivots `[n]` and the inverse of the unit lower triangle `[n, n]`.
    """
    n = outside.size
    if n <= LEAF:
        W = np.ascontiguousarray(W)
        outside = outside.copy()
        inverse = np.zeros((n, n))
        _eliminate_leaf(W, outside, inverse)
        return outside, inverse
    half = n // 2
    B = W[:half, half:]
    first, upper = _eliminate(W[:half, :half], outside[:half] + B.sum(axis=1))
    root = np.sqrt(first)
    scaled = upper @ B
    scaled /= root[:, None]
    W[half:, half:] += scaled.T @ scaled
    second, lower = _eliminate(W[half:, half:], outside[half:] + ((upper @ outside[:half]) / root) @ scaled)
    inverse = np.zeros((n, n))
    inverse[:half, :half] = upper
    inverse[half:, half:] = lower
    inverse[half:, :half] = lower @ (scaled.T @ (upper / root[:, None]))
    return np.concatenate([first, second]), inverse


def _njit(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")(function)


@_njit
def _eliminate_leaf(W: Floats, outside: Floats, inverse: Floats) -> None:
    """As `_eliminate`, in place: `outside` becomes the pivots, `inverse` (zeros) is filled."""
    n = outside.size
    for k in range(n):
        pivot = outside[k]
        for j in range(k + 1, n):
            pivot += W[k, j]
        leaving = outside[k] / pivot
        for i in range(k + 1, n):
            share = W[i, k] / pivot
            W[i, k] = share  # the multiplier
            outside[i] += W[k, i] * leaving
            for j in range(k + 1, n):
                W[i, j] += share * W[k, j]
        outside[k] = pivot
    for i in range(n):
        inverse[i, i] = 1.0
        for k in range(i):
            share = W[i, k]
            for j in range(k + 1):
                inverse[i, j] += share * inverse[k, j]
