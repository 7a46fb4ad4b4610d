"""Clocks: repeats, medians, and two things timed turn by turn so that a busy machine slows both alike.

What runs on one thread is measured in processor time of this process: the seconds of one core. Others who use the
machine then disturb it little. Wall time is for what runs on several threads.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What a single measurement may cost before it is not repeated any further, in seconds.
PATIENCE = 20.0


@dataclass(frozen=True)
class Timed:
    """Seconds of every repeat, and what the last one returned."""

    seconds: tuple[float, ...]
    answer: Any = field(default=None, repr=False)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)


def once(work: Callable[[], Any], wall: bool = False) -> Timed:
    clock = time.perf_counter if wall else time.process_time
    gc.collect()
    gc.disable()
    try:
        begin = clock()
        answer = work()
        return Timed((clock() - begin,), answer)
    finally:
        gc.enable()


def timed(work: Callable[[], Any], repeats: int = 5, patience: float = PATIENCE, wall: bool = False) -> Timed:
    """Repeats until `repeats` or until `patience` seconds are spent, whichever is first."""
    found: list[float] = []
    answer = None
    while len(found) < repeats and (not found or sum(found) < patience):
        one = once(work, wall)
        found += one.seconds
        answer = one.answer
    return Timed(tuple(found), answer)


def turns(
    works: Sequence[Callable[[], Any]], repeats: int = 5, patience: float = PATIENCE, wall: bool = False
) -> list[Timed]:
    """Times several things turn by turn, each up to `repeats` times and its own `patience`."""
    found: list[list[float]] = [[] for _ in works]
    answers: list[Any] = [None] * len(works)
    for _ in range(repeats):
        for number, work in enumerate(works):
            if not found[number] or sum(found[number]) < patience:
                one = once(work, wall)
                found[number] += one.seconds
                answers[number] = one.answer
    return [Timed(tuple(seconds), answer) for seconds, answer in zip(found, answers)]


def ratio(one: Timed, other: Timed) -> float:
    """Median of `one` over median of `other`."""
    return one.median / other.median


def apart(module: str, *arguments: object, limit: float | None = None) -> dict[str, Any] | None:
    """Runs `python -m module arguments` on its own and reads the JSON of its last line.

    Returns:
        None if it took longer than `limit` seconds.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
