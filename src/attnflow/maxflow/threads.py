"""Work on several threads: compiled loops and BLAS release the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from attnflow.errors import OptionError

Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_count(threads: int | None) -> int:
    """Number of solver threads: as asked, else the cores this process may use.

    Raises:
        OptionError: not a positive integer.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise OptionError(f"threads={threads!r}: expected a positive integer, or None for all cores.")
    return threads


def run_all(
    work: Callable[[Item], Result], items: Sequence[Item], threads: int, finished: Callable[[Result], None]
) -> list[Result]:
    """Does the work on every item, in this thread if one is enough.

    Args:
        work: from item to result.
        items: what to work on.
        threads: how many items at once.
        finished: told of each result in the caller's thread, in the order in which they come. What it or the
            work raises is raised here, and items that are not begun are left.

    Returns:
        The results in the order of the items.
    """
    if threads == 1 or len(items) < 2:
        results = []
        for item in items:
            results.append(work(item))
            finished(results[-1])
        return results
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                finished(future.result())
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]
