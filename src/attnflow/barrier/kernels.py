"""Compiled loops over the edges of a layout: one pass each, no temporaries.

Nodes are unknowns first, then fixed ones. `place[e] < 0` says that an edge joins fewer than two distinct
unknowns. Infinite capacities need no case of their own: whatever is divided by an infinite slack is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _njit(function: Any) -> Any:
    return njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")(function)


@_njit
def assemble(
    tail: Ints, head: Ints, place: Ints, conductance: Floats, entries: Floats, excess: Floats
) -> None:
    """Fills the Laplacian: `entries` of its storage and `excess` per unknown, both overwritten."""
    entries[:] = 0.0
    excess[:] = 0.0
    unknowns = excess.size
    for e in range(tail.size):
        if place[e] >= 0:
            entries[place[e]] += conductance[e]
        elif tail[e] != head[e]:
            if tail[e] < unknowns:
                excess[tail[e]] += conductance[e]
            elif head[e] < unknowns:
                excess[head[e]] += conductance[e]


@_njit
def imbalance(tail: Ints, head: Ints, flow: Floats, supply: Floats, left: Floats) -> None:
    """Per unknown what should leave it less what does, into `left`; sums are compensated."""
    unknowns = supply.size
    lost = np.zeros(unknowns)
    for i in range(unknowns):  # numba takes seconds to compile the assignment of a slice
        left[i] = supply[i]
    for e in range(tail.size):
        for end in range(2):
            node = tail[e] if end == 0 else head[e]
            if node < unknowns and tail[e] != head[e]:
                x = -flow[e] if end == 0 else flow[e]
                total = left[node] + x
                back = total - left[node]
                lost[node] += (left[node] - (total - back)) + (x - back)
                left[node] = total
    for i in range(unknowns):
        left[i] += lost[i]


@_njit
def resistances(flow: Floats, slack: Floats, low: Floats, high: Floats, conductance: Floats) -> None:
    """Conductance of every edge in a primal-dual step, into `conductance`."""
    for e in range(flow.size):
        conductance[e] = 1.0 / (low[e] / flow[e] + high[e] / slack[e])


@_njit
def currents(
    tail: Ints,
    head: Ints,
    flow: Floats,
    slack: Floats,
    conductance: Floats,
    potential: Floats,
    goal: Floats,
    goal_low: Floats,
    goal_high: Floats,
    left: Floats,
    push: Floats,
    right: Floats,
) -> None:
    """Right-hand side of a primal-dual step.

    Args:
        goal: `[2]`: products wanted on finite and infinite edges.
        goal_low: `[edges]`, corrections of the lower products; empty: none.
        goal_high: `[edges]`, corrections of the upper products; empty: none.
        left: `[unknowns]`, see `imbalance`.
        push: `[edges]`, overwritten: what would flow if potentials stayed as they are.
        right: `[unknowns]`, overwritten.
    """
    unknowns = left.size
    corrected = goal_low.size > 0
    for i in range(unknowns):
        right[i] = -left[i]
    for e in range(tail.size):
        wanted = goal[1] if np.isinf(slack[e]) else goal[0]
        lower, upper = wanted, wanted
        if corrected:
            lower += goal_low[e]
            upper += goal_high[e]
        drive = lower / flow[e] - upper / slack[e] - (potential[tail[e]] - potential[head[e]])
        push[e] = conductance[e] * drive
        if tail[e] != head[e]:
            if tail[e] < unknowns:
                right[tail[e]] += push[e]
            if head[e] < unknowns:
                right[head[e]] -= push[e]


@_njit
def direction(
    tail: Ints,
    head: Ints,
    flow: Floats,
    slack: Floats,
    low: Floats,
    high: Floats,
    conductance: Floats,
    push: Floats,
    rise: Floats,
    goal: Floats,
    goal_low: Floats,
    goal_high: Floats,
    change: Floats,
    change_low: Floats,
    change_high: Floats,
) -> tuple[float, float]:
    """Turns the potentials' step `rise` into steps of flows and multipliers.

    Returns:
        The longest steps, at most 2, that keep flows and multipliers non-negative.
    """
    unknowns = rise.size
    corrected = goal_low.size > 0
    primal = dual = 2.0
    for e in range(tail.size):
        wanted = goal[1] if np.isinf(slack[e]) else goal[0]
        lower, upper = wanted, wanted
        if corrected:
            lower += goal_low[e]
            upper += goal_high[e]
        uphill = (rise[tail[e]] if tail[e] < unknowns else 0.0) - (
            rise[head[e]] if head[e] < unknowns else 0.0
        )
        step = push[e] - conductance[e] * uphill
        below = lower / flow[e] - low[e] - low[e] / flow[e] * step
        above = upper / slack[e] - high[e] + high[e] / slack[e] * step
        change[e] = step
        change_low[e] = below
        change_high[e] = above
        if step < 0 and -flow[e] > step * primal:
            primal = -flow[e] / step
        if step > 0 and slack[e] < step * primal:
            primal = slack[e] / step
        if below < 0 and -low[e] > below * dual:
            dual = -low[e] / below
        if above < 0 and -high[e] > above * dual:
            dual = -high[e] / above
    return primal, dual


@_njit
def corrections(
    slack: Floats,
    change: Floats,
    change_low: Floats,
    change_high: Floats,
    goal: Floats,
    low: Floats,
    high: Floats,
) -> None:
    """Second-order terms of the products that a step of these sizes would leave, into `low` and `high`.

    Args:
        goal: `[2]`: products wanted on finite and infinite edges; no correction is larger.
    """
    for e in range(change.size):
        limit = goal[1] if np.isinf(slack[e]) else goal[0]
        low[e] = min(limit, max(-limit, -change[e] * change_low[e]))
        high[e] = min(limit, max(-limit, change[e] * change_high[e]))


@_njit
def recentre(
    flow: Floats,
    slack: Floats,
    low: Floats,
    high: Floats,
    change: Floats,
    change_low: Floats,
    change_high: Floats,
    primal: float,
    dual: float,
    far: float,
    goal: Floats,
    goal_low: Floats,
    goal_high: Floats,
    more_low: Floats,
    more_high: Floats,
) -> None:
    """Adds to the corrections what brings products far off their goal back (Gondzio 1996).

    Args:
        primal: length of the step of flows that the products are looked at after.
        dual: length of the step of multipliers.
        far: products outside [goal / far, far * goal] are brought back to the nearer end.
        goal: `[2]`: products wanted on finite and infinite edges.
        goal_low: `[edges]`, corrections so far.
        goal_high: `[edges]`, likewise.
        more_low: `[edges]`, overwritten: their sum with the new ones.
        more_high: `[edges]`, likewise.
    """
    for e in range(flow.size):
        open_edge = np.isinf(slack[e])
        wanted = goal[1] if open_edge else goal[0]
        product = (flow[e] + primal * change[e]) * (low[e] + dual * change_low[e])
        back = min(far * wanted, max(wanted / far, product)) - product
        more_low[e] = goal_low[e] + max(back, -far * wanted)
        more_high[e] = goal_high[e]
        if not open_edge:
            product = (slack[e] - primal * change[e]) * (high[e] + dual * change_high[e])
            back = min(far * wanted, max(wanted / far, product)) - product
            more_high[e] += max(back, -far * wanted)


@_njit
def move(
    flow: Floats,
    slack: Floats,
    low: Floats,
    high: Floats,
    change: Floats,
    change_low: Floats,
    change_high: Floats,
    primal: float,
    dual: float,
) -> None:
    """Takes a step of flows and multipliers."""
    for e in range(flow.size):
        flow[e] += primal * change[e]
        slack[e] -= primal * change[e]
        low[e] += dual * change_low[e]
        high[e] += dual * change_high[e]


@_njit
def products(flow: Floats, slack: Floats, low: Floats, high: Floats) -> tuple[float, float, float, float]:
    """Mean product of slack and multiplier on finite and on infinite edges, and the finite ones' extremes."""
    finite = infinite = 0.0
    count = 0
    least, most = np.inf, 0.0
    for e in range(flow.size):
        if np.isinf(slack[e]):
            infinite += flow[e] * low[e]
        else:
            one, two = flow[e] * low[e], slack[e] * high[e]
            finite += one + two
            count += 2
            least = min(least, one, two)
            most = max(most, one, two)
    return finite / max(count, 1), infinite / max(flow.size - count // 2, 1), least, most


@_njit
def respond(
    tail: Ints,
    head: Ints,
    capacity: Floats,
    potential: Floats,
    fine: Floats,
    flow: Floats,
    conductance: Floats,
) -> None:
    """The flow that is optimal for given potentials: the root of 1 / f - 1 / (c - f) = potential difference.

    Args:
        potential: `[nodes]`.
        fine: `[nodes]`, to be added to `potential`: together they hold twice the digits.
        flow: `[edges]`, overwritten; relative error a few units in the last place.
        conductance: `[edges]`, overwritten: minus the derivative of the flow by the difference.
    """
    for e in range(tail.size):
        t, h, c = tail[e], head[e], capacity[e]
        a = ((potential[t] - potential[h]) + (fine[t] - fine[h])) * c
        root = np.sqrt(a * a + 4.0) if abs(a) < 1e150 else abs(a)
        part = 2.0 / (abs(a) + 2.0 + root)  # the smaller of f / c and 1 - f / c
        f = c * part if a >= 0 else c - c * part
        u = c - c * part if a >= 0 else c * part
        flow[e] = f
        small, large = min(f, u), max(f, u)
        ratio = small / large
        conductance[e] = small * small / (1.0 + ratio * ratio)


@_njit
def raise_by(potential: Floats, fine: Floats, rise: Floats, step: float) -> None:
    """Adds `step * rise` to the sum of `potential` and `fine` without losing digits."""
    for i in range(rise.size):
        x = step * rise[i] + fine[i]
        total = potential[i] + x
        back = total - potential[i]
        fine[i] = (potential[i] - (total - back)) + (x - back)
        potential[i] = total
