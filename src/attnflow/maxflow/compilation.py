"""Compiling the solver's loops: once per machine, announced, then read from a cache on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from attnflow.maxflow import kernels
from attnflow.maxflow.solver import Solver

STAGE = "compiling the solver, once"

_done = False


def is_cached() -> bool:
    """True if compiled loops lie on disk. They may still be out of date."""
    try:
        folder = Path(kernels.orders._cache.cache_path)
        return any(folder.glob("kernels.orders-*.nbi"))
    except (
        AttributeError,
        OSError,
    ):  # a numba with another cache layout: only the announcement depends on it
        return False


def compile_kernels(progress: Callable[[str, int, int | None], None] | None = None) -> None:
    """Compiles every loop, or reads it from the cache, by solving a network of two nodes.

    Args:
        progress: called as `progress(STAGE, done, total)` if anything has to be compiled.
    """
    global _done
    if _done:
        return
    from attnflow.network import FlowNetwork

    announce = None if is_cached() else progress
    solver = Solver(FlowNetwork.encoder(np.ones((1, 1, 1))), 0)
    steps: list[Callable[[], object]] = [
        solver.grand,
        solver.singles,
        solver.outgoing,
        lambda: solver.without(1),
        lambda: solver.subsets(1),
        lambda: solver.orders(np.zeros((1, 1), dtype=np.int64), 1),
    ]
    for number, step in enumerate(steps):
        if announce is not None:
            announce(STAGE, number, len(steps))
        step()
    if announce is not None:
        announce(STAGE, len(steps), len(steps))
    _done = True
