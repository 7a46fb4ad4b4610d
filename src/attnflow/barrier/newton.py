"""Newton's method for a program, in two parts, and the certificate.

`follow` solves roughly for groups of nodes, then for parts of groups, and takes primal-dual steps with corrector
from there to the neighbourhood of the answer; only it knows infinite edges as edges, whose products of flow and
multiplier it drives towards 0. `polish` then
has finite edges only and needs nothing but potentials: for given potentials the flow on every edge has a
closed form, so the one thing left to get right is conservation. Its function of the potentials is
self-concordant, so Newton steps that are shortened where they overshoot converge from anywhere, at last
quadratically; by then one factor serves several steps.

The certificate. Let f be the flow that answers to potentials y, and r what conservation lacks at each
node. f is then the exact answer of the program whose supplies are changed by r. Between the two programs
the answer moves, at every moment, as an electrical current that is fed r: no edge of an electrical network
carries more than what is fed in. So no edge of f is further than sum |r| from the true answer, and neither
is the sum of the edges that leave one player.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnflow.barrier import kernels
from attnflow.barrier.laplacian import Factor, factorise
from attnflow.barrier.layout import Layout, coarsen
from attnflow.barrier.program import Program

Floats = NDArray[np.float64]

#: Steps after which either gives up. `follow` may: `polish` takes over from wherever it stands.
FOLLOWED, POLISHED = 200, 100
#: Steps stop at this part of the distance to the nearest bound.
SHY = 0.98
#: The path's goal moves on after steps of at least this part of the full length.
NEAR = 0.7
#: Corrections of a step by what would be far off centre after a longer one, while they lengthen it by `WORTH`.
CORRECTED, LONGER, FAR, WORTH = 2, 0.3, 4.0, 0.1
#: Second-order corrections change no product aimed at by more than this part of it.
SHARE = 0.8
#: Part of the full length from which a step needs no such correction.
NEARLY = 0.9
#: Parts of a group that have one potential each before its nodes do.
PARTS = 16
#: Groups' potentials are good enough at this Newton decrement, times the root of the number of edges; their parts' once
#: less than this part of the flow is out of balance.
ROUGH, PARTLY = 0.01, 0.1
#: No edge starts with less than this part of its capacity, or with less room.
LEAST = 1e-12
#: `polish` takes over once products are off their goal by no more than the first of these as a factor, and no more
#: than the second, as part of the flow, is out of balance.
CENTRED, BALANCED = 4.0, 1e-3
#: A factor is used again while each step leaves no more than this part of what lacks conservation.
AGAIN = 0.3
#: Infinite edges are let go once less than this part of the flow is out of balance.
HELD = 0.1
#: Product of flow and multiplier at which an infinite edge shows whether it carries anything.
CARRIES = 1e-9


@dataclass(frozen=True, eq=False)
class Path:
    """Where `follow` stopped. Everything dual is scaled so that finite edges' products are to be `unit`.

    Attributes:
        unit: 1, or mu if that is smaller than 1.
        potential: `[nodes]` of the layout, times `unit`.
        flow: `[edges]`.
        slack: `[edges]`, capacity less flow.
        low: `[edges]`, multipliers of flow >= 0.
        high: `[edges]`, multipliers of flow <= capacity.
        carries: `[edges]`, for infinite edges whether they seem to carry flow.
        steps: Newton steps taken on nodes; those for groups, and for their parts, are not counted.
    """

    unit: float
    potential: Floats
    flow: Floats
    slack: Floats
    low: Floats
    high: Floats
    carries: NDArray[np.bool_]
    steps: int


@dataclass(frozen=True, eq=False)
class Balance:
    """Where `polish` stopped.

    Attributes:
        potential: `[nodes]` of the layout.
        fine: `[nodes]`, the potentials' lower digits.
        flow: `[edges]`.
        gap: no edge's flow is further from the true answer.
        steps: Newton steps taken.
    """

    potential: Floats
    fine: Floats
    flow: Floats
    gap: float
    steps: int


def follow(layout: Layout) -> Path:
    """Steps towards the answer, first of groups, then of parts of groups, then of nodes.

    The answer with one potential per group takes passes over the edges and next to no elimination, and says how
    much flow takes which way; from a start that had this wrong most steps would be short. So it is with parts.

    Infinite edges first get a capacity, just large enough that a flow exists: then every edge has room on both sides.
    Near the answer to that, almost a flow and well inside all bounds, they are let go, and their products of
    flow and multiplier sent towards 0.

    Args:
        layout: unknowns and edges.
    """
    capacity = layout.capacity
    infinite = np.isinf(capacity)
    pull = float(np.abs(layout.fixed).max(initial=0.0))
    unit = 1 / pull if pull > 1 else 1.0
    finite = capacity[~infinite]
    size = float(np.median(finite)) if finite.size else 1.0
    held = np.where(infinite, 2 * layout.program.example[layout.edge] + size, capacity)
    groups, group = coarsen(replace(layout, capacity=held), 1)
    potential = np.concatenate([np.zeros(groups.unknowns), layout.fixed])
    rough = polish(groups, potential, ROUGH * math.sqrt(held.size))
    flow = np.clip(rough.flow, LEAST * held, (1 - LEAST) * held)
    coarse, part = coarsen(layout, PARTS)
    potential = np.empty(coarse.unknowns + layout.fixed.size)
    potential[part] = rough.potential[group] * unit
    start = Path(
        unit=unit,
        potential=potential,
        flow=flow,
        slack=held - flow,
        low=unit / flow,
        high=unit / (held - flow),
        carries=infinite,
        steps=0,
    )
    path = _steps(coarse, start, PARTLY)
    start = replace(path, potential=path.potential[part], steps=0)
    path = _steps(layout, start, HELD if infinite.any() else 0.0)
    if not infinite.any():
        return path
    freed = replace(
        path,
        slack=np.where(infinite, np.inf, path.slack),
        high=np.where(infinite, 0.0, path.high),
    )
    return _steps(layout, freed)


def _steps(layout: Layout, start: Path, enough: float = 0.0) -> Path:
    """Takes primal-dual steps with correctors (Mehrotra's, then Gondzio's).

    Args:
        layout: unknowns and edges.
        start: where from; edges of infinite slack are the infinite ones.
        enough: stop as soon as less than this part of the flow is out of balance.
    """
    tail, head, place = layout.tail, layout.head, layout.place
    unknowns, edges = layout.unknowns, tail.size
    flow, slack, low, high = start.flow.copy(), start.slack.copy(), start.low.copy(), start.high.copy()
    state = tail, head, flow, slack, low, high
    potential = start.potential.copy()
    infinite = np.isinf(slack)
    open_edges = bool(infinite.any())
    end = np.array([start.unit, start.unit * CARRIES])
    size = float(np.abs(layout.supply).max(initial=0.0))
    left, leaving, room = np.empty(unknowns), np.empty(potential.size), kernels.scratch()
    excess, entries = np.empty(unknowns), np.empty(layout.pattern.size)
    conductance = np.empty(edges)
    lower, upper, change = np.empty(edges), np.empty(edges), np.empty(edges)
    other = np.empty(edges), np.empty(edges), np.empty(edges)
    midway: tuple[Floats, Floats] | None = None
    goal = np.array([start.unit, start.unit])
    steps, near = 0, True

    def direction(
        factor: Factor, lower: Floats, upper: Floats, change: Floats
    ) -> tuple[Floats, float, float]:
        kernels.drive(*state, lower, upper, potential, leaving, room)
        ahead = potential.copy()
        ahead[:unknowns] += factor.solve(leaving[:unknowns] - layout.supply)
        return ahead, *kernels.direction(*state, lower, upper, ahead, change, room)

    kernels.imbalance(tail, head, flow, layout.supply, left)
    unbalanced = float(np.abs(left).sum())
    while steps < FOLLOWED:
        mean, mean_infinite, least, most = kernels.products(flow, slack, low, high)
        scale = float(flow.sum()) + size
        centred = least > end[0] / CENTRED and most < CENTRED * end[0]
        done = not open_edges or mean_infinite <= 2 * end[1]
        if unbalanced < enough * scale or (centred and done and unbalanced <= BALANCED * scale):
            break
        if near:
            goal[:] = np.maximum(end, np.minimum(goal, 0.1 * np.array([mean, mean_infinite])))
        kernels.resistances(flow, slack, low, high, conductance)
        kernels.assemble(tail, head, place, conductance, entries, excess)
        factor = factorise(layout.pattern, entries, excess)
        lower.fill(goal[0])
        if open_edges:
            lower[infinite] = goal[1]
        upper[:] = lower
        ahead, primal, dual = direction(factor, lower, upper, change)
        if not np.isfinite(ahead).all():
            break
        if min(primal, dual) < 1:
            kernels.correct(flow, low, change, 1.0, lower, SHARE)
            kernels.correct(slack, high, change, -1.0, upper, SHARE)
            ahead, primal, dual = direction(factor, lower, upper, change)
        for _ in range(CORRECTED):
            if min(primal, dual) >= NEARLY:
                break
            reached = min(1.0, primal) + min(1.0, dual)
            longer = min(1.0, primal + LONGER), min(1.0, dual + LONGER)
            kernels.recentre(flow, low, change, 1.0, lower, slack, *longer, FAR, goal, other[0])
            kernels.recentre(slack, high, change, -1.0, upper, slack, *longer, FAR, goal, other[1])
            found = direction(factor, *other)
            gain = min(1.0, found[1]) + min(1.0, found[2]) - reached
            if gain >= 0:
                (lower, upper, change), other = other, (lower, upper, change)
                ahead, primal, dual = found
            if gain < WORTH:
                break
        primal, dual = min(1.0, SHY * primal), min(1.0, SHY * dual)
        kernels.move(flow, low, change, 1.0, lower, primal, dual)
        kernels.move(slack, high, change, -1.0, upper, primal, dual)
        potential += dual * (ahead - potential)
        unbalanced *= 1 - primal
        near = min(primal, dual) > NEAR
        if midway is None and goal[1] <= 1e-4 * start.unit:
            midway = flow.copy(), low.copy()
        steps += 1
    # As the product falls, either the flow falls or its multiplier.
    carries = infinite if midway is None else infinite & (flow / midway[0] > low / midway[1])
    return Path(start.unit, potential, flow, slack, low, high, carries, start.steps + steps)


def polish(layout: Layout, potential: Floats, enough: float = 0.0) -> Balance:
    """Makes potentials exact, up to what float64 can show.

    Args:
        layout: unknowns and finite edges.
        potential: `[nodes]`, where to start.
        enough: stop at this Newton decrement; what is returned is the best balance there was.
    """
    tail, head, place, capacity = layout.tail, layout.head, layout.place, layout.capacity
    unknowns = layout.unknowns
    potential, fine = potential.copy(), np.zeros_like(potential)
    flow, conductance = np.empty(tail.size), np.empty(tail.size)
    left = np.empty(unknowns)
    excess, entries = np.empty(unknowns), np.empty(layout.pattern.size)
    room = kernels.scratch()
    factor: Factor | None = None
    best: Balance | None = None
    worse = steps = 0
    last = math.inf

    def answer() -> None:
        kernels.respond(tail, head, capacity, potential, fine, flow, conductance, room)
        kernels.imbalance(tail, head, flow, layout.supply, left)

    answer()
    while True:
        noise = rounding(layout.program, flow)
        gap = float(np.abs(left).sum()) + noise
        if best is None or gap < best.gap:
            worse = 0 if best is None or gap < 0.5 * best.gap else worse + 1
            best = Balance(potential.copy(), fine.copy(), flow.copy(), gap, steps)
        else:
            worse += 1
        if not math.isfinite(gap) or gap < 1.5 * noise or steps == POLISHED:
            break
        if factor is None or not gap < AGAIN * last:
            kernels.assemble(tail, head, place, conductance, entries, excess)
            factor = factorise(layout.pattern, entries, excess)
            steps += 1
        last = gap
        rise = -factor.solve(left)
        decrement = math.sqrt(max(0.0, -float(left @ rise)))
        if not math.isfinite(decrement) or decrement < enough:
            break
        if worse >= 3 and decrement < 0.25:
            break
        if decrement < 0.25:
            kernels.raise_by(potential, fine, rise, 1.0)
            answer()
            continue
        factor, before, step = None, (potential.copy(), fine.copy()), 1.0
        while True:  # no further than to where it is as steep uphill as half of what it was downhill
            kernels.raise_by(potential, fine, rise, step)
            answer()
            if step <= 1 / (1 + decrement) or float(left @ rise) <= 0.5 * decrement**2:
                break
            potential[:], fine[:] = before
            step = max(0.5 * step, 1 / (1 + decrement))
    assert best is not None
    return replace(best, steps=steps)


def rounding(program: Program, flow: Floats) -> float:
    """What rounding may hide of `sum |r|`: 8 units in the last place of every flow, at both its ends."""
    eps = float(np.finfo(np.float64).eps)
    return 16 * eps * float(flow.sum()) + 2 * eps * float(np.abs(program.supply).sum())
