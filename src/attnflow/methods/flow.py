"""Attention flow: the most that each player alone can send to the target.

Abnar & Zuidema 2020 (arXiv 2005.00928), section 3. One maximum flow per player: score j is v({j}). The
scores of different players do not add up to v(N), for they compete for the same edges.
"""

from __future__ import annotations

from attnflow.methods.problem import Method, Outcome, Problem


def solve(problem: Problem) -> Outcome:
    """Scores each player by the maximum flow from it alone."""
    units, _ = problem.singles
    return Outcome(problem.solver.graph.value(units))


METHOD = Method("flow", solve, "Abnar & Zuidema 2020 (arXiv 2005.00928)")
