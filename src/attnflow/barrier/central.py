"""The central maximum flow of one target, or the flow at a finite barrier, with its certified gap."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from attnflow.barrier import kernels
from attnflow.barrier.layout import Layout, lay_out
from attnflow.barrier.newton import Balance, follow, polish, rounding
from attnflow.barrier.program import Edges, Program, barrier_program, edges_of, full_flow, limit_program
from attnflow.errors import SolverError
from attnflow.maxflow import Solver
from attnflow.maxflow.graph import INFINITE
from attnflow.maxflow.solver import Progress

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: A gap above this part of the flow's value is refused.
TOLERANCE = 1e-9
#: Residual room, as parts of the flow's value, that counts as none where float64 cannot do with less.
SLIVERS = (0.0, 2.0**-52, 2.0**-48, 2.0**-44, 2.0**-40)
#: A gap below this part of the flow's value is as good as it gets.
EXCELLENT = 1e-12
#: Positions per group from which matrix products may use as many threads as the solver.
THREADED = 256
#: How often the choice of infinite edges that carry flow may be revised.
REVISIONS = 20


@dataclass(frozen=True, eq=False)
class Centre:
    """A central flow.

    Attributes:
        flows: per block and link of `network.edges` the flow, blocks `[queries, keys]`, links `[edges]`.
        sent: `[players]`, what each player sends.
        value: their sum.
        gap: no entry of `flows` or `sent` is further from the true one, for the capacities as the solver
            rounded them.
        steps: Newton steps taken on nodes; those that find a start, for groups of them, are not counted.
    """

    flows: tuple[Floats, ...] = field(repr=False)
    sent: Floats
    value: float
    gap: float
    steps: int


def centre(solver: Solver, mu: float | None = None, progress: Progress | None = None) -> Centre:
    """Finds the central flow of the solver's target.

    Args:
        solver: one target's game.
        mu: weight of the barrier, in the capacities' unit; None: the limit mu -> 0.
        progress: called as Newton steps are done.

    Raises:
        NetworkError: infinite edges alone form a loop, which leaves the flow open.
        SolverError: float64 does not suffice for a gap below `TOLERANCE`.
    """
    graph = solver.graph
    edges = edges_of(solver)
    value, units, _ = solver.flow(dict.fromkeys(range(solver.players), INFINITE))
    flow, gap, steps = np.zeros(edges.tail.size), 0.0, 0
    if value > 0:
        largest = max(group.size for group in solver.network.groups)
        limits = solver.threads if largest >= THREADED else 1
        # steps that run out of digits show as infinite gaps
        with _blas().limit(limits=limits, user_api="blas"), np.errstate(all="ignore"):
            if mu is None:
                flow, gap, steps = _limit(edges, full_flow(edges, units), value, progress)
            else:
                program = barrier_program(edges, graph, mu)
                flow[program.index], gap, steps = _solve(program, progress)
    if not gap <= TOLERANCE * value:
        raise SolverError(
            f"The central flow could only be found to within {gap / value:.1e} of v(N), not {TOLERANCE:.0e}: its "
            "capacities differ by too many orders of magnitude for float64. Drop the smallest capacities, or use "
            "method='shapley'."
        )
    supersource = flow[edges.own : edges.own + edges.players]
    sent = np.array([part.sum() for part in np.split(supersource, solver.board.member_start[1:-1])])
    return Centre(
        flows=graph.split(solver.network, graph.value(flow[: edges.own])),
        sent=graph.value(sent),
        value=float(graph.value(supersource.sum())),
        gap=float(graph.value(gap)),
        steps=steps,
    )


@cache
def _blas() -> ThreadpoolController:
    """Numpy's matrix products: on small blocks, threads that wait for each other cost more than they save."""
    return ThreadpoolController()


def _limit(edges: Edges, units: Ints, value: int, progress: Progress | None) -> tuple[Floats, float, int]:
    """Solves the limit mu -> 0, sparing slivers of room only where float64 cannot do with less.

    Args:
        edges: the target's network.
        units: `[edges]`, a maximum flow.
        value: its value.
        progress: see `centre`.

    Returns:
        See `_solve`; the flow on all of `edges`.
    """
    flow, gap, steps, size = units.astype(np.float64), math.inf, 0, -1
    for part in SLIVERS:
        program = limit_program(edges, units, int(part * value))
        if program.index.size == size:  # no slivers of that size
            continue
        size = program.index.size
        answer, found, taken = _solve(program, progress)
        steps += taken
        if found < gap:
            gap = found
            flow = units.astype(np.float64)
            flow[program.index] = answer
        if gap <= EXCELLENT * value:
            break
    return flow, gap, steps


def _solve(program: Program, progress: Progress | None) -> tuple[Floats, float, int]:
    """Solves a program.

    Infinite edges whose sign is in question are first kept as edges, which tells the ones that carry flow
    from the ones that do not; then the former are contracted, the latter deleted, and the answer's signs
    prove or correct the choice.

    Returns:
        The flow `[edges]` and the gap, in the units of `Edges` (infinite if float64 did not suffice), and
        the number of Newton steps.
    """
    infinite = np.isinf(program.capacity)
    contracted = np.zeros(program.tail.size, dtype=np.bool_)
    contracted[program.settled] = True
    deleted = np.zeros_like(contracted)
    steps = 0
    layout = lay_out(program, contracted, deleted)
    path = follow(layout)
    potential = path.potential[layout.node] / path.unit
    open_edges = infinite[layout.edge]
    if open_edges.any():
        contracted[layout.edge[open_edges & path.carries]] = True
        deleted[layout.edge[open_edges & ~path.carries]] = True
        layout = lay_out(program, contracted, deleted)
    steps += path.steps
    for _ in range(REVISIONS):
        start = np.zeros(layout.unknowns + layout.fixed.size)
        start[layout.node] = potential
        start[layout.unknowns :] = layout.fixed
        balance = polish(layout, start)
        steps += balance.steps
        if progress is not None:
            progress("Newton steps", steps, None)
        potential = balance.potential[layout.node]
        flow = _expand(layout, balance)
        if not np.isfinite(flow).all():
            return flow, math.inf, steps
        small = TOLERANCE * 1e-3 * float(flow.max(initial=0.0))
        backwards = contracted & (flow < -small)
        uphill = deleted & (_difference(layout, balance) < 0)
        if not backwards.any() and not uphill.any():
            flow = np.where(contracted, np.maximum(flow, 0.0), flow)
            gap = _gap(program, flow) + program.loose
            return np.ldexp(flow, program.exponent), float(np.ldexp(gap, program.exponent)), steps
        contracted = (contracted & ~backwards) | uphill
        deleted = (deleted & ~uphill) | backwards
        layout = lay_out(program, contracted, deleted)
    return flow, math.inf, steps


def _difference(layout: Layout, balance: Balance) -> Floats:
    """Per edge of the program by how much its tail's potential exceeds its head's."""
    program = layout.program
    tail, head = layout.node[program.tail], layout.node[program.head]
    fine = balance.fine[tail] - balance.fine[head]
    return (balance.potential[tail] - balance.potential[head]) + fine


def _expand(layout: Layout, balance: Balance) -> Floats:
    """The flow on every edge of the program; contracted edges carry what conservation asks of them."""
    program = layout.program
    flow = np.zeros(program.tail.size)
    flow[layout.edge] = balance.flow
    left = np.empty(program.nodes)
    kernels.imbalance(program.tail, program.head, flow, program.supply, left)
    inside = np.flatnonzero(layout.contracted)
    at: dict[int, list[int]] = {}
    for e in inside.tolist():
        at.setdefault(int(program.tail[e]), []).append(e)
        at.setdefault(int(program.head[e]), []).append(e)
    degree = {node: len(beside) for node, beside in at.items()}
    leaves = [node for node, count in degree.items() if count == 1 and np.isnan(program.potential[node])]
    done: set[int] = set()
    while leaves:
        node = leaves.pop()
        ahead = [e for e in at[node] if e not in done]
        if not ahead:  # the last node of its tree: what is left over stays with it
            continue
        (e,) = ahead
        done.add(e)
        outwards = program.tail[e] == node
        other = int(program.head[e] if outwards else program.tail[e])
        flow[e] = left[node] if outwards else -left[node]
        left[other] += left[node]
        degree[other] -= 1
        if degree[other] == 1 and np.isnan(program.potential[other]):
            leaves.append(other)
    return flow


def _gap(program: Program, flow: Floats) -> float:
    """Sum over nodes of what conservation lacks, with what rounding may hide."""
    left = np.empty(program.nodes)
    kernels.imbalance(program.tail, program.head, flow, program.supply, left)
    free = np.isnan(program.potential)
    return float(np.abs(left[free]).sum()) + rounding(program, flow)
