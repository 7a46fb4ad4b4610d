"""What a method is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Target
from attnflow.maxflow import Solver
from attnflow.maxflow.solver import Progress

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork


@dataclass(frozen=True)
class Problem:
    """One target's game.

    Attributes:
        network: the flow network.
        solver: solves v for coalitions of these players and this target.
        groups: players as lists of indices into `network.players`.
        target: the target.
        samples: number of sampled orders asked for, or None.
        stderr: standard error asked for as a fraction of v(N), or None.
        mu: weight of the barrier asked for, or None.
        seed: of anything random.
        progress: called as `progress(stage, done, total)`, or None.
        bounds: True if bottlenecks are wanted.
    """

    network: FlowNetwork
    solver: Solver
    groups: Sequence[Sequence[int]]
    target: Target
    samples: int | None = None
    stderr: float | None = None
    mu: float | None = None
    seed: int = 0
    progress: Progress | None = None
    bounds: bool = True
    # Not cached properties: before Python 3.12 these hold one lock for all instances, and targets would wait.
    _known: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def grand(self) -> int:
        """v(N) in units."""
        grand: int = self._once("grand", self.solver.grand)
        return grand

    @property
    def singles(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """v({j}) in units and the bottleneck of every player; zeros for bottlenecks if bounds are not wanted."""
        singles: tuple[NDArray[np.int64], NDArray[np.int64]] = self._once("singles", self._solved)
        return singles

    def _once(self, name: str, find: Callable[[], Any]) -> Any:
        if name not in self._known:
            self._known[name] = find()
        return self._known[name]

    def _solved(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if self.bounds:
            return self.solver.singles(self.progress)
        units = self.solver.singles_up_to(self.grand, self.progress)
        return units, np.zeros_like(units)


@dataclass(frozen=True)
class Outcome:
    """Scores of one target.

    Attributes:
        scores: float64 `[players]`.
        stderr: standard errors, or None if the scores are exact.
        estimated: True if the scores come from sampled orders.
        samples: number of sampled orders, or None.
        gap: certified bound on the error of every score, or None where scores are exact in integers.
    """

    scores: NDArray[np.float64]
    stderr: NDArray[np.float64] | None = None
    estimated: bool = False
    samples: int | None = None
    gap: float | None = None


@dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes:
        name: what callers write.
        solve: from a problem to scores.
        source: the paper it comes from.
        samples: True if it can estimate from sampled orders.
        share: True if its scores are probabilities or attention weights, whatever the capacities' unit.
        splits: True if its scores are the split of some maximum flow, so that they sum to v(N).
        barrier: True if it takes a barrier weight mu.
    """

    name: str
    solve: Callable[[Problem], Outcome]
    source: str
    samples: bool = False
    splits: bool = False
    share: bool = False
    barrier: bool = False
