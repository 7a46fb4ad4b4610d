"""Progress of long work: a bar for every stage, on stderr, only where someone is watching."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

Report = Callable[[str, int, int | None], None]


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Report | None]:
    """Shows what `explain` is doing while the block runs, and leaves no trace.

    Args:
        quiet: show nothing.

    Yields:
        A function for `explain(progress=...)`, or None if stderr is no terminal or `quiet` is set.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int | None) -> None:
        if stage not in tasks:
            for task in tasks.values():
                bars.update(task, visible=False)
            tasks[stage] = bars.add_task(stage[:1].upper() + stage[1:], total=total, count="")
        count = f"{done:,} of {total:,}" if total else ""
        bars.update(tasks[stage], completed=done, total=total, count=count, visible=True)

    with bars:
        report("starting", 0, None)
        yield report
