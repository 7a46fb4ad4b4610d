"""Compiling the solver's loops: once per machine, announced, then read from a cache on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from attnflow.maxflow import games
from attnflow.maxflow.graph import INFINITE
from attnflow.maxflow.loops import ready
from attnflow.maxflow.solver import Solver

STAGE = "compiling the solver, once"

_done: set[bool] = set()


def is_cached(function: Any = games.play) -> bool:
    """True if a compiled function lies on disk. It may still be out of date."""
    try:
        folder, name = Path(function._cache.cache_path), function.py_func.__qualname__
        return any(folder.glob(f"*.{name}-*.nbi"))
    except (
        AttributeError,
        OSError,
    ):  # a numba with another cache layout: only the announcement depends on it
        return False


def compile_kernels(
    progress: Callable[[str, int, int | None], None] | None = None, *, barrier: bool = False
) -> None:
    """Compiles every loop, or reads it from the cache, by solving small networks.

    Args:
        progress: called as `progress(STAGE, done, total)` if anything has to be compiled.
        barrier: also the loops of the central flow.
    """
    if barrier in _done:
        return
    from attnflow.network import FlowNetwork

    announce = None if is_cached() else progress

    @cache
    def tiny() -> Solver:
        return Solver(FlowNetwork.encoder(np.ones((1, 2, 2))), 0)

    steps: list[Callable[[], object]] = [
        ready,
        lambda: tiny().grand(),
        lambda: tiny().singles(),
        lambda: tiny().outgoing(),
        lambda: tiny().flow({0: INFINITE}),
        lambda: tiny().without(tiny().grand(), np.zeros(2, dtype=np.int64)),
    ]
    if barrier:
        from attnflow.barrier.central import centre
        from attnflow.barrier.kernels import correct, drive, recentre

        some = np.array([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7]])
        small = FlowNetwork.encoder(np.array([some] * 4))
        few = np.ones(2)
        steps += [
            lambda: centre(Solver(small, 0)),
            lambda: correct(few, few, few, 1.0, few.copy(), 0.5),
            lambda: recentre(few, few, few, 1.0, few, few, 1.0, 1.0, 2.0, few, few.copy()),
        ]
        announce = announce if is_cached(drive) else progress
    for number, step in enumerate(steps):
        if announce is not None:
            announce(STAGE, number, len(steps))
        step()
    if announce is not None:
        announce(STAGE, len(steps), len(steps))
    _done.add(barrier)
