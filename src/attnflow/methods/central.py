"""The central maximum flow: what each player sends in the one maximum flow that leans on no edge.

Most networks have many maximum flows, and a solver's own is an accident of its edge order. Azarkhalili &
Libbrecht 2025 (Generalized Attention Flow, 2502.15765) single one out by a log barrier: they maximise flow
plus mu times the sum of ln f + ln(c - f). Here the default is the limit mu -> 0, which is a maximum flow
(their finite barrier is not), and edges on no path from a player to the target are deleted first, so that
a player that reaches nothing scores exactly 0.

Infinite edges (ours: the papers have none but the supersource's) carry no term of the sum, but no flow may
run against them. So their flows need not lie inside their bounds: an open residual edge may well carry
nothing. The answer stays unique as long as infinite edges alone form no loop, which is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnflow.barrier import Centre, centre
from attnflow.errors import OptionError
from attnflow.maxflow import Solver
from attnflow.methods.problem import Method, Outcome, Problem

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork


def solve(problem: Problem) -> Outcome:
    """Scores each player by its outflow in the central flow."""
    found = centre(problem.solver, _checked(problem.mu), problem.progress)
    return Outcome(found.sent, gap=found.gap)


def central_flow(
    network: FlowNetwork,
    target: int | Sequence[int],
    *,
    players: Sequence[Sequence[int]] | None = None,
    weights: Sequence[float] | None = None,
    mu: float | None = None,
) -> Centre:
    """Finds the central flow itself, on every edge.

    Args:
        network: the flow network.
        target: a position of the last group, or a set of them.
        players: disjoint lists of indices into `network.players`; None: each position its own player.
        weights: for a set, one weight per position, summing to 1.
        mu: weight of the barrier, in the capacities' unit; None: the limit mu -> 0, a maximum flow.

    Returns:
        The flow per block and link of `network.edges`, what each player sends, and the certified gap.

    Raises:
        NetworkError: target, players or weights that do not fit, or infinite edges that alone form a loop.
        SolverError: capacities too far apart for float64 to certify a gap below 1e-9 of the flow.
    """
    return centre(Solver(network, target, weights=weights, groups=players), _checked(mu))


def _checked(mu: float | None) -> float | None:
    if mu is None:
        return None
    if isinstance(mu, bool) or not isinstance(mu, (int, float)) or not (math.isfinite(mu) and mu > 0):
        raise OptionError(
            f"mu={mu!r}: expected a positive number in the capacities' unit, or None for the limit mu -> 0."
        )
    return float(mu)


METHOD = Method(
    "central",
    solve,
    "Azarkhalili & Libbrecht 2025 (2502.15765), in the limit of no barrier",
    splits=True,
    barrier=True,
)
