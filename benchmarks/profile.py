"""Where the time of one `explain` goes: inclusive times of the walk's own stages."""

from __future__ import annotations

import functools
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Stage, module, attribute. A stage inside another is subtracted from it.
STAGES = (
    ("capture", "attnflow.capture", "capture_targets"),
    ("the model's pass", "attnflow.capture.interface", "forward"),
    ("the backward pass", "torch.autograd", "grad"),
    ("building the network", "attnflow.network", "FlowNetwork.from_trace"),
    ("lowering to integers", "attnflow.maxflow.graph", "lower"),
    ("attributing", "attnflow.methods", "attribute"),
)


def outside(work: Callable[[], Any], repeats: int = 7) -> dict[str, float]:
    """Median seconds per stage of STAGES, what is inside other stages taken off, and of the rest."""
    found: list[dict[str, float]] = []
    for _ in range(repeats):
        spent: dict[str, float] = {}
        stack: list[list[Any]] = [["the rest", 0.0]]

        def wrapped(
            name: str, function: Any, stack: list[list[Any]] = stack, spent: dict[str, float] = spent
        ) -> Any:
            @functools.wraps(function)
            def run(*args: Any, **kwargs: Any) -> Any:
                stack.append([name, 0.0])
                begin = time.process_time()
                try:
                    return function(*args, **kwargs)
                finally:
                    took = time.process_time() - begin
                    _, inner = stack.pop()
                    spent[name] = spent.get(name, 0.0) + took - inner
                    stack[-1][1] += took

            return run

        with _patched(wrapped):
            begin = time.process_time()
            work()
            whole = time.process_time() - begin
        spent["the rest"] = whole - sum(spent.values())
        found.append(spent)
    return {name: statistics.median(one.get(name, 0.0) for one in found) for name in found[0]}


@contextmanager
def _patched(wrapped: Callable[[str, Any], Any]) -> Iterator[None]:
    undo: list[tuple[Any, str, Any]] = []
    try:
        for name, module, path in STAGES:
            owner: Any = importlib.import_module(module)
            *outer, last = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            found = vars(owner)[last]
            undo.append((owner, last, found))
            inner = found.__func__ if isinstance(found, classmethod) else found
            new = wrapped(name, inner)
            setattr(owner, last, classmethod(new) if isinstance(found, classmethod) else new)
        yield
    finally:
        for owner, last, found in reversed(undo):
            setattr(owner, last, found)
