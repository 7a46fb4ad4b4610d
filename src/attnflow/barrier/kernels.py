"""Compiled loops over the edges of a layout: one pass each, no temporaries.

Nodes are unknowns first, then fixed ones. `place[e] < 0` says that an edge joins fewer than two distinct
unknowns. Infinite capacities need no case of their own: whatever is divided by an infinite slack is 0.

What takes divisions goes chunk by chunk. Loops that look nodes up stand apart from loops over consecutive
edges, each of which writes one array only: those the compiler turns into vector instructions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.maxflow.loops import entry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]

#: Edges at a time: what is known of them stays in the nearest cache.
CHUNK = 512
#: Rows of `CHUNK` numbers that a kernel may want for itself.
ROWS = 5
#: Stands in for the multiplier of an infinite capacity, which is 0, where it divides 0.
TINY = 1e-300


def scratch() -> Floats:
    """Room for what kernels compute in between: `[ROWS, CHUNK]`."""
    return np.empty((ROWS, CHUNK))


@entry
def assemble(
    tail: Nodes, head: Nodes, place: Ints, conductance: Floats, entries: Floats, excess: Floats
) -> None:
    """Fills the Laplacian: `entries` of its storage and `excess` per unknown, both overwritten."""
    unknowns = excess.size
    for i in range(entries.size):  # numba takes long to compile the assignment of a slice
        entries[i] = 0.0
    for i in range(unknowns):
        excess[i] = 0.0
    for e in range(tail.size):
        if place[e] >= 0:
            entries[place[e]] += conductance[e]
        elif tail[e] != head[e]:
            if tail[e] < unknowns:
                excess[tail[e]] += conductance[e]
            elif head[e] < unknowns:
                excess[head[e]] += conductance[e]


def imbalance(tail: Nodes, head: Nodes, flow: Floats, supply: Floats, left: Floats) -> None:
    """Per unknown what should leave it less what does, into `left`; sums are compensated."""
    left[:] = supply
    lost = np.zeros_like(left)
    _take_off(tail, head, flow, left, lost)
    left += lost


@entry
def _take_off(tail: Nodes, head: Nodes, flow: Floats, left: Floats, lost: Floats) -> None:
    for e in range(tail.size):
        for end in range(2):
            node = tail[e] if end == 0 else head[e]
            if node < left.size and tail[e] != head[e]:
                x = -flow[e] if end == 0 else flow[e]
                total = left[node] + x
                back = total - left[node]
                lost[node] += (left[node] - (total - back)) + (x - back)
                left[node] = total


@entry
def resistances(flow: Floats, slack: Floats, low: Floats, high: Floats, conductance: Floats) -> None:
    """Conductance of every edge in a primal-dual step, into `conductance`."""
    for e in range(flow.size):
        conductance[e] = 1.0 / (low[e] / flow[e] + high[e] / slack[e])


@entry
def drive(
    tail: Nodes,
    head: Nodes,
    flow: Floats,
    slack: Floats,
    low: Floats,
    high: Floats,
    lower: Floats,
    upper: Floats,
    potential: Floats,
    leaving: Floats,
    room: Floats,
) -> None:
    """What would leave each node if flows changed as a primal-dual step has them, potentials staying.

    Args:
        lower: `[edges]`, products of flow and multiplier aimed at.
        upper: `[edges]`, products of slack and multiplier aimed at; finite.
        potential: `[nodes]`.
        leaving: `[nodes]`, overwritten: what leaves less what enters, of flows and their changes.
        room: see `scratch`.
    """
    push = room[0]
    for i in range(leaving.size):
        leaving[i] = 0.0
    at, total = 0, 0.0
    for first in range(0, tail.size, CHUNK):
        last = min(first + CHUNK, tail.size)
        t, h, f, s = tail[first:last], head[first:last], flow[first:last], slack[first:last]
        a, b, want_a, want_b = low[first:last], high[first:last], lower[first:last], upper[first:last]
        for i in range(t.size):
            push[i] = potential[t[i]] - potential[h[i]]
        for i in range(t.size):
            one, two = 1.0 / f[i], 1.0 / s[i]
            push[i] = f[i] + (want_a[i] * one - want_b[i] * two - push[i]) / (a[i] * one + b[i] * two)
        for i in range(t.size):
            if h[i] != at:  # edges of one head mostly stand together
                leaving[at] -= total
                at, total = h[i], 0.0
            total += push[i]
            leaving[t[i]] += push[i]
    leaving[at] -= total


@entry
def direction(
    tail: Nodes,
    head: Nodes,
    flow: Floats,
    slack: Floats,
    low: Floats,
    high: Floats,
    lower: Floats,
    upper: Floats,
    potential: Floats,
    change: Floats,
    room: Floats,
) -> tuple[float, float]:
    """Turns a step of the potentials into one of the flows.

    Args:
        lower: `[edges]`, products aimed at, as for `drive`.
        upper: `[edges]`, likewise.
        potential: `[nodes]`, after the step.
        change: `[edges]`, overwritten: the step of the flows.
        room: see `scratch`.

    Returns:
        The longest steps, at most 2, that keep flows and multipliers non-negative.
    """
    difference, one, two, primal, dual = room[0], room[1], room[2], room[3], room[4]
    for i in range(CHUNK):
        primal[i] = dual[i] = 0.5  # the most that anything falls by, over itself
    for first in range(0, tail.size, CHUNK):
        last = min(first + CHUNK, tail.size)
        t, h, f, s, c = (
            tail[first:last],
            head[first:last],
            flow[first:last],
            slack[first:last],
            change[first:last],
        )
        a, b, want_a, want_b = low[first:last], high[first:last], lower[first:last], upper[first:last]
        for i in range(t.size):
            difference[i] = potential[t[i]] - potential[h[i]]
        for i in range(t.size):
            one[i] = 1.0 / f[i]
        for i in range(t.size):
            two[i] = 1.0 / s[i]
        for i in range(t.size):
            pull = want_a[i] * one[i] - want_b[i] * two[i] - difference[i]
            c[i] = pull / (a[i] * one[i] + b[i] * two[i])
        for i in range(t.size):
            primal[i] = max(primal[i], max(-c[i] * one[i], c[i] * two[i]))
        for i in range(t.size):
            below = 1.0 + (c[i] - want_a[i] / a[i]) * one[i]
            above = (b[i] - (b[i] * c[i] + want_b[i]) * two[i]) / max(b[i], TINY)
            dual[i] = max(dual[i], max(below, above))
    fastest = slowest = 0.5
    for i in range(CHUNK):
        fastest, slowest = max(fastest, primal[i]), max(slowest, dual[i])
    return 1.0 / fastest, 1.0 / slowest


@entry
def correct(
    distance: Floats, multiplier: Floats, change: Floats, sign: float, wanted: Floats, share: float
) -> None:
    """Takes off the products aimed at what second-order terms would add to them (Mehrotra 1992).

    Args:
        distance: `[edges]`, from a bound: flow or slack.
        multiplier: `[edges]`, of that bound.
        change: `[edges]`, step of the flows that goes with the products aimed at.
        sign: 1 for flows, -1 for slacks.
        wanted: `[edges]`, products aimed at; updated.
        share: no product changes by more than this part of itself.
    """
    for e in range(distance.size):
        step = sign * change[e]
        rise = (wanted[e] - multiplier[e] * step) / distance[e] - multiplier[e]
        most = share * wanted[e]
        wanted[e] += min(most, max(-most, -step * rise))


@entry
def recentre(
    distance: Floats,
    multiplier: Floats,
    change: Floats,
    sign: float,
    wanted: Floats,
    slack: Floats,
    primal: float,
    dual: float,
    far: float,
    goal: Floats,
    more: Floats,
) -> None:
    """Adds to the products aimed at what brings those far off the goal back (Gondzio 1996).

    Args:
        distance: as for `correct`, like the next four.
        slack: `[edges]`, to tell infinite edges by.
        primal: length of the step of flows that the products are looked at after.
        dual: length of the step of multipliers.
        far: products outside [goal / far, far * goal] are brought back to the nearer end.
        goal: `[2]`: products wanted on finite and infinite edges.
        more: `[edges]`, overwritten: the new ones. Nothing comes near an infinite distance.
    """
    finite, infinite = goal[0], goal[1]
    for e in range(distance.size):
        aim = infinite if np.isinf(slack[e]) else finite
        step = sign * change[e]
        rise = (wanted[e] - multiplier[e] * step) / distance[e] - multiplier[e]
        product = (distance[e] + primal * step) * (multiplier[e] + dual * rise)
        back = max(min(far * aim, max(aim / far, product)) - product, -far * aim)
        more[e] = wanted[e] if np.isinf(distance[e]) else wanted[e] + back


@entry
def move(
    distance: Floats,
    multiplier: Floats,
    change: Floats,
    sign: float,
    wanted: Floats,
    primal: float,
    dual: float,
) -> None:
    """Takes a step of distances and multipliers; arguments as for `recentre`."""
    for first in range(0, distance.size, CHUNK):
        last = min(first + CHUNK, distance.size)
        d, m, c, want = distance[first:last], multiplier[first:last], change[first:last], wanted[first:last]
        for i in range(d.size):
            m[i] += dual * ((want[i] - m[i] * sign * c[i]) / d[i] - m[i])
        for i in range(d.size):
            d[i] += primal * sign * c[i]


@entry
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


@entry
def respond(
    tail: Nodes,
    head: Nodes,
    capacity: Floats,
    potential: Floats,
    fine: Floats,
    flow: Floats,
    conductance: Floats,
    room: Floats,
) -> None:
    """The flow that is optimal for given potentials: the root of 1 / f - 1 / (c - f) = potential difference.

    Args:
        potential: `[nodes]`.
        fine: `[nodes]`, to be added to `potential`: together they hold twice the digits.
        flow: `[edges]`, overwritten; relative error a few units in the last place.
        conductance: `[edges]`, overwritten: minus the derivative of the flow by the difference.
        room: see `scratch`.
    """
    difference, smaller = room[0], room[1]
    for first in range(0, tail.size, CHUNK):
        last = min(first + CHUNK, tail.size)
        t, h, c = tail[first:last], head[first:last], capacity[first:last]
        f, g = flow[first:last], conductance[first:last]
        for i in range(t.size):
            difference[i] = (potential[t[i]] - potential[h[i]]) + (fine[t[i]] - fine[h[i]])
        for i in range(t.size):
            a = abs(difference[i] * c[i])
            root = np.sqrt(a * a + 4.0) if a < 1e150 else a
            smaller[i] = c[i] * (2.0 / (a + 2.0 + root))  # of flow and slack
        for i in range(t.size):
            f[i] = smaller[i] if difference[i] >= 0 else c[i] - smaller[i]
        for i in range(t.size):
            ratio = smaller[i] / (c[i] - smaller[i])
            g[i] = smaller[i] * smaller[i] / (1.0 + ratio * ratio)


@entry
def raise_by(potential: Floats, fine: Floats, rise: Floats, step: float) -> None:
    """Adds `step * rise` to the sum of `potential` and `fine` without losing digits."""
    for i in range(rise.size):
        x = step * rise[i] + fine[i]
        total = potential[i] + x
        back = total - potential[i]
        fine[i] = (potential[i] - (total - back)) + (x - back)
        potential[i] = total
