"""Shapley values of the flow game: what each player adds on average, over all orders of joining.

Ethayarajh & Jurafsky 2021 (2105.14652) and Metzger et al. 2022 (2205.15389) connect attention flow to
Shapley values for one fixed flow, whose split is a choice of the solver. Here the game is v(S), the
maximum flow from the players in S (ours): its Shapley value is unique and some maximum flow realises it.

Exact up to `EXACT` players by all coalitions; above, from sampled orders. Each order is used forwards and
backwards (antithetic pairs), and turned by evenly spaced steps, so that over one cycle every player stands
everywhere: what a player adds depends mostly on its place, for few can add anything after the first. Cycles
are independent, and standard errors come from their means. Every estimate is a plain mean over orders, so
that a maximum flow realises it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import OptionError
from attnflow.methods.problem import Method, Outcome, Problem

#: Largest number of players that is solved over all coalitions.
EXACT = 12
#: Least number of orders between two looks at the standard error; fixed, so that threads cannot change
#: the answer.
BATCH = 64
#: Least number of cycles that a standard error is computed from, where there are orders enough.
CYCLES = 16
#: Pairs in a cycle at most: with more players a whole cycle costs more than it saves, and orders are not turned.
LARGEST_CYCLE = 32
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
    size = _cycle(n) if wanted is None else _cycle(n, wanted // 2)
    batch = max(CYCLES, BATCH // (2 * size))
    sums = [0] * n  # of marginals, exact
    pairs = cycles = 0
    centre = np.zeros(n)  # near the mean, so that the sums below lose nothing to cancellation
    spread, lean, squared = np.zeros(n), np.zeros(n), 0
    while True:
        sizes = [size] * batch if wanted is None else _sizes(wanted // 2 - pairs, size)[:batch]
        order = np.concatenate([_rotations(rng.permutation(n), count) for count in sizes])
        marginal = problem.solver.orders(order, grand)
        high, low = (marginal >> 31).sum(axis=0), (marginal & 0x7FFFFFFF).sum(axis=0)
        sums = [total + (int(h) << 31) + int(rest) for total, h, rest in zip(sums, high, low)]
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) * 2
        added = np.add.reduceat(marginal / 2, starts, axis=0)
        weight = np.array(sizes, dtype=np.float64)
        if cycles == 0:
            centre = added.sum(axis=0) / weight.sum()
        away = added - weight[:, None] * centre
        spread += (away**2).sum(axis=0)
        lean += weight @ away
        squared += int((weight**2).sum())
        pairs += sum(sizes)
        cycles += len(sizes)
        scores = np.array([total / (2 * pairs) for total in sums])
        shift = scores - centre
        squares = np.maximum(spread - 2 * shift * lean + shift**2 * squared, 0)
        error = np.sqrt(squares * cycles / max(cycles - 1, 1)) / pairs
        if problem.progress is not None:
            problem.progress("sampled orders", 2 * pairs, wanted)
        if 2 * pairs == wanted or (wanted is None and error.max() <= goal * grand):
            break
    value = problem.solver.graph.value
    return Outcome(value(scores), value(error), estimated=True, samples=2 * pairs)


def _cycle(players: int, pairs: int | None = None) -> int:
    """Pairs per cycle: a whole cycle, or so few that there are cycles enough for a standard error."""
    whole = math.ceil(players / 2)
    if whole > LARGEST_CYCLE:
        return 1
    return whole if pairs is None else max(1, min(whole, pairs // CYCLES))


def _sizes(pairs: int, size: int) -> list[int]:
    """Splits pairs into cycles of nearly equal size."""
    cycles = max(1, pairs // size)
    return [pairs // cycles + (number < pairs % cycles) for number in range(cycles)]


def _rotations(order: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`[2 * count, players]`: an order turned by `count` evenly spaced steps, each beside its reverse."""
    n = order.size
    turned = [np.roll(order, number * n // count) for number in range(count)]
    return np.array([one for forward in turned for one in (forward, forward[::-1])], dtype=np.int64)


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
