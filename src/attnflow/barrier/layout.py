"""A program with some infinite edges contracted and some deleted: unknowns, numbered block by block.

A contracted edge carries whatever conservation asks of it, so its ends have one potential and are one
node here; its flow is found afterwards. A deleted edge carries nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from attnflow.barrier.connectivity import count_pairs, joined
from attnflow.barrier.laplacian import Matching, Pattern, pattern
from attnflow.barrier.program import Program

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]
Mask = NDArray[np.bool_]

#: Unknowns per block of the Laplacian, at most.
TILE = 128


@dataclass(frozen=True, eq=False)
class Layout:
    """Unknown potentials, then fixed ones, and the edges between them.

    Attributes:
        program: what it lays out.
        contracted: `[program edges]`.
        edge: `[edges]`, which of the program's edges are left.
        tail: `[edges]`, nodes of the layout: unknowns first, then fixed.
        head: `[edges]`.
        capacity: `[edges]`.
        place: `[edges]`, where the edge's conductance goes in the Laplacian, or -1 if an end is fixed or
            both ends are the same.
        node: `[program nodes]`, node of the layout.
        sizes: `[groups]`, unknowns of each; they are numbered group by group.
        supply: `[unknowns]`.
        fixed: `[nodes - unknowns]`, the fixed potentials.
        pattern: storage of the Laplacian.
    """

    program: Program
    contracted: Mask = field(repr=False)
    edge: Ints
    tail: Nodes
    head: Nodes
    capacity: Floats
    place: Ints
    node: Nodes
    sizes: Ints
    supply: Floats
    fixed: Floats
    pattern: Pattern

    @property
    def unknowns(self) -> int:
        """Number of unknown potentials."""
        return self.supply.size


def lay_out(program: Program, contracted: Mask, deleted: Mask) -> Layout:
    """Contracts and deletes infinite edges and numbers what is left.

    Where no node of a connected component has a fixed potential, one is fixed at 0.

    Args:
        program: the program.
        contracted: `[edges]`.
        deleted: `[edges]`.
    """
    nodes = program.nodes
    merged, _ = joined(program.tail[contracted], program.head[contracted], nodes)
    classes = int(merged.max()) + 1
    edge = np.flatnonzero(~contracted & ~deleted)
    tail, head = merged[program.tail[edge]], merged[program.head[edge]]
    potential = np.full(classes, np.nan)
    known = ~np.isnan(program.potential)
    potential[merged[known]] = program.potential[known]
    component, _ = joined(tail, head, classes)
    weight = np.bincount(tail, minlength=classes) + np.bincount(head, minlength=classes)
    grounded = np.zeros(component.max() + 1, dtype=np.bool_)
    grounded[component[~np.isnan(potential)]] = True
    order = np.lexsort((-weight, component))  # per component its best connected node first
    firsts = order[np.unique(component[order], return_index=True)[1]]
    potential[firsts[~grounded]] = 0.0

    free = np.isnan(potential)
    group = np.zeros(classes, dtype=np.int64)
    np.maximum.at(group, merged, np.where(np.isnan(program.potential), program.group, 0))
    unknown = np.flatnonzero(free)
    unknown = unknown[np.argsort(group[unknown], kind="stable")]
    rest = np.flatnonzero(~free)
    node = np.empty(classes, dtype=np.int32)
    node[unknown] = np.arange(unknown.size)
    node[rest] = unknown.size + np.arange(rest.size)
    sizes = np.bincount(group[unknown])
    block = _split(sizes, -(-sizes // TILE))
    tail, head = node[tail], node[head]
    plan = _plan(block, tail, head)
    supply = np.zeros(classes)
    np.add.at(supply, merged, program.supply)
    return Layout(
        program=program,
        contracted=contracted,
        edge=edge,
        tail=tail,
        head=head,
        capacity=program.capacity[edge],
        place=plan.place(block, tail, head),
        node=node[merged],
        sizes=sizes,
        supply=supply[unknown],
        fixed=potential[rest],
        pattern=plan,
    )


def coarsen(layout: Layout, parts: int) -> tuple[Layout, Nodes]:
    """Cuts every group into parts whose unknowns are to have one potential, and conserve flow together.

    Args:
        layout: unknowns and edges.
        parts: parts of a group, at most.

    Returns:
        The layout in which each part is one unknown, and per node of `layout` its node there.
    """
    pieces = np.minimum(layout.sizes, parts)
    count = int(pieces.sum())
    fixed = count + np.arange(layout.fixed.size)
    part = np.concatenate([_split(layout.sizes, pieces), fixed]).astype(np.int32)
    tail, head = part[layout.tail], part[layout.head]
    plan = pattern(np.array([count]), ())
    coarse = replace(
        layout,
        tail=tail,
        head=head,
        place=plan.place(np.zeros(count, dtype=np.int64), tail, head),
        node=part[layout.node],
        sizes=pieces,
        supply=np.bincount(part[: layout.unknowns], layout.supply, count).astype(np.float64),
        pattern=plan,
    )
    return coarse, part


def _split(sizes: Ints, pieces: Ints) -> Ints:
    """Splits every group of unknowns into pieces of about equal size.

    Args:
        sizes: `[groups]`, unknowns of each.
        pieces: `[groups]`, of how many pieces; 0 for groups without any.

    Returns:
        `[unknowns]`, the piece of each, numbered in order.
    """
    group = np.repeat(np.arange(sizes.size), sizes)
    at = np.arange(group.size) - (np.cumsum(sizes) - sizes)[group]
    piece: Ints = (np.cumsum(pieces) - pieces)[group] + at * pieces[group] // sizes[group]
    return piece


def _plan(block: Ints, tail: Nodes, head: Nodes) -> Pattern:
    """Finds which blocks have entries between them, and which pairs of blocks a matching."""
    sizes = np.bincount(block)
    count = np.zeros((sizes.size, sizes.size), dtype=np.int64)
    count_pairs(block, tail, head, count)
    start = np.cumsum(sizes) - sizes
    pairs = [(int(a), int(b)) for a, b in np.argwhere(np.triu(count, 1))]
    few = count <= np.minimum(sizes[:, None], sizes[None, :])
    matching: dict[tuple[int, int], Matching] = {}
    inner = np.flatnonzero((tail < block.size) & (head < block.size) & (tail != head))
    one, two = np.minimum(tail[inner], head[inner]), np.maximum(tail[inner], head[inner])
    # unknowns are numbered block by block: the smaller has the smaller block
    thin = few[block[one], block[two]]
    one, two = one[thin], two[thin]
    for a, b in pairs:
        if few[a, b]:
            between = (block[one] == a) & (block[two] == b)
            rows, columns = one[between] - start[a], two[between] - start[b]
            if np.unique(rows).size == rows.size and np.unique(columns).size == columns.size:
                matching[a, b] = rows, columns
    return pattern(sizes, pairs, np.flatnonzero(np.diag(count) == 0).tolist(), matching)
