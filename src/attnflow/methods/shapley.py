"""Shapley values of the flow game: what each player adds on average, over all orders of joining.

Ethayarajh & Jurafsky 2021 (2105.14652) and Metzger et al. 2022 (2205.15389) connect attention flow to
Shapley values for one fixed flow, whose split is a choice of the solver. Here the game is v(S), the
maximum flow from the players in S (ours): its Shapley value is unique and some maximum flow realises it.

Exact up to `EXACT` players by all coalitions; above, from sampled orders, each used forwards and
backwards (antithetic pairs), with standard errors from the pairs' means.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import OptionError
from attnflow.methods.problem import Method, Outcome, Problem

#: Largest number of players that is solved over all coalitions.
EXACT = 12
#: Orders between two looks at the standard error; fixed, so that threads cannot change the answer.
BATCH = 64
#: Default standard error, as a fraction of v(N).
STDERR = 0.01


def solve(problem: Problem) -> Outcome:
    """Computes Shapley values, exactly where there are few players and no sampling was asked for."""
    sampling = problem.samples is not None or problem.stderr is not None
    if not sampling and problem.solver.players <= EXACT:
        return exact(problem)
    return sampled(problem)


def exact(problem: Problem) -> Outcome:
    """Averages what each player adds over all coalitions."""
    n = problem.solver.players
    values = problem.solver.subsets(problem.grand, problem.progress)
    number = np.arange(values.size)
    size = np.bitwise_count(number)
    scores = np.zeros(n)
    for j in range(n):
        lacking = number[(number >> j & 1) == 0]
        added = values[lacking | 1 << j] - values[lacking]
        sizes = size[lacking]
        scores[j] = math.fsum(_total(added[sizes == s]) / (n * math.comb(n - 1, s)) for s in range(n))
    return Outcome(problem.solver.graph.value(scores))


def sampled(problem: Problem) -> Outcome:
    """Averages what each player adds over sampled orders."""
    n = problem.solver.players
    wanted = _wanted(problem.samples)
    goal = STDERR if problem.stderr is None else problem.stderr
    if isinstance(goal, bool) or not isinstance(goal, (int, float, np.number)) or not 0 < goal < math.inf:
        raise OptionError(f"stderr={problem.stderr!r}: expected a positive fraction of v(N).")
    if isinstance(problem.seed, bool) or not isinstance(problem.seed, (int, np.integer)) or problem.seed < 0:
        raise OptionError(f"seed={problem.seed!r}: expected an integer from 0 up.")
    rng = np.random.default_rng([problem.seed, *problem.target.positions])
    grand = problem.grand
    sums = [0] * n  # of marginals, exact
    centre = np.zeros(n)
    squares = np.zeros(n)  # of pair means around `centre`
    offsets = np.zeros(n)
    pairs = 0
    while True:
        batch = BATCH if wanted is None else min(BATCH, wanted - 2 * pairs)
        forward = rng.permuted(np.tile(np.arange(n), (batch // 2, 1)), axis=1)
        order = np.concatenate([forward, forward[:, ::-1]])
        marginal = problem.solver.orders(np.ascontiguousarray(order), grand)
        high, low = (marginal >> 31).sum(axis=0), (marginal & 0x7FFFFFFF).sum(axis=0)
        sums = [total + (int(h) << 31) + int(rest) for total, h, rest in zip(sums, high, low)]
        means = marginal[: batch // 2] / 2 + marginal[batch // 2 :] / 2
        if pairs == 0:
            centre = means.mean(axis=0)
        squares += ((means - centre) ** 2).sum(axis=0)
        offsets += (means - centre).sum(axis=0)
        pairs += batch // 2
        variance = np.maximum(squares - offsets**2 / pairs, 0) / max(pairs - 1, 1)
        error = np.sqrt(variance / pairs)
        if problem.progress is not None:
            problem.progress("sampled orders", 2 * pairs, wanted)
        if 2 * pairs == wanted or (wanted is None and error.max() <= goal * grand):
            break
    value = problem.solver.graph.value
    scores = np.array([total / (2 * pairs) for total in sums])
    return Outcome(value(scores), value(error), estimated=True, samples=2 * pairs)


def _wanted(samples: int | None) -> int | None:
    if samples is None:
        return None
    if isinstance(samples, bool) or not isinstance(samples, (int, np.integer)) or samples < 4:
        raise OptionError(
            f"samples={samples!r}: expected at least 4 orders, so that there is a standard error."
        )
    return int(samples) + int(samples) % 2


def _total(units: NDArray[np.int64]) -> int:
    """Sum of int64 values that may not fit int64."""
    return (int((units >> 31).sum()) << 31) + int((units & 0x7FFFFFFF).sum())


METHOD = Method(
    "shapley",
    solve,
    "Shapley value of the coalition game v(S); cf. Ethayarajh & Jurafsky 2021, Metzger et al. 2022",
    samples=True,
    splits=True,
)
