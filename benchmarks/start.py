"""What it costs to start: `import attnflow` beside `import numpy`, and compiling every kernel once.

`python -m benchmarks.start` prints the compile time of every kernel as JSON; it wants an empty
NUMBA_CACHE_DIR.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.measure import Timed, ratio
from benchmarks.rows import Row


def rows(quick: bool) -> Iterator[Row]:
    commands = {
        "nothing": "pass",
        "numpy": "import numpy",
        "attnflow": "import attnflow",
        "used": "from attnflow import Attribution, FlowNetwork, Trace, explain",
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(5 if quick else 15):
        for name, command in commands.items():
            begin = _children()
            subprocess.run([sys.executable, "-c", command], check=True)
            found[name].append(_children() - begin)
    empty, numpy, own, used = (Timed(tuple(found[name])) for name in commands)
    case = "whole process, processor time"
    yield Row(case, "python -c pass", empty.median, "s")
    yield Row(case, "import numpy", numpy.median, "s")
    yield Row(case, "import attnflow", own.median, "s")
    yield Row(case, "import attnflow / import numpy", ratio(own, numpy), "x", most=2)
    yield Row(case, "from attnflow import Attribution, FlowNetwork, Trace, explain", used.median, "s")
    loaded = subprocess.run(
        [sys.executable, "-c", "import attnflow, sys; print(len(sys.modules), 'numpy' in sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    yield Row(case, "modules after import attnflow", float(loaded[0]), note=f"numpy among them: {loaded[1]}")
    times = compiled()
    case = "compiling, empty cache"
    kernels = times.pop("kernels")
    yield Row(case, "every kernel of the solver and of central, processor time", times["cpu"], "s", most=20)
    yield Row(case, "the solver's alone, processor time", times["solver"], "s")
    yield Row(case, "of them when float32 capacities are first met", times["later"], "s")
    slowest = sorted(kernels.items(), key=lambda item: -item[1])[:6]
    for name, seconds in slowest:
        yield Row(case, f"kernel {name}", seconds, "s")
    again = times["cached"]
    yield Row("compiled before", "reading all kernels from the cache, processor time", again, "s")


def _children() -> float:
    """Processor seconds of all processes that were waited for."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def compiled() -> dict[str, Any]:
    """Compiles everything in a process with an empty cache, then reads it back in another; the median of three."""
    found = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            first, second = _compile(folder), _compile(folder)
        found.append({**first, "cached": second["cpu"]})
    return sorted(found, key=lambda times: times["cpu"])[1]


def _compile(folder: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.start"],
        capture_output=True, text=True, check=True, env={**os.environ, "NUMBA_CACHE_DIR": folder},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compile_all() -> dict[str, object]:
    from numba.core import event

    spent: dict[str, float] = {}
    stack: list[list[float | str]] = []

    class Clock(event.Listener):
        def on_start(self, found: event.Event) -> None:
            stack.append([found.data["dispatcher"].py_func.__qualname__, time.process_time(), 0.0])

        def on_end(self, found: event.Event) -> None:
            name, begin, inner = stack.pop()
            took = time.process_time() - begin  # type: ignore[operator]
            spent[name] = spent.get(name, 0.0) + took - inner  # type: ignore[index, arg-type, operator]
            if stack:
                stack[-1][2] += took  # type: ignore[operator]

    import numba  # noqa: F401 - its own import is not compiling
    import numpy as np

    from attnflow import FlowNetwork, attribute
    from attnflow.maxflow.compilation import compile_kernels

    event.register("numba:compile", Clock())
    begin = time.process_time()
    compile_kernels()
    solver = time.process_time() - begin
    compile_kernels(barrier=True)
    both = time.process_time()
    # what a caller's float32 capacities, threads or a larger network need beyond that
    for dtype in (np.float32, np.float64):
        C = np.full((2, 5, 5), 0.1, dtype=dtype) + 0.5 * np.eye(5, dtype=dtype)
        attribute(FlowNetwork.encoder(C), method="shapley", targets=[0, 1], threads=2)
        attribute(FlowNetwork.encoder(C), method="central", targets=[0], threads=2)
    end = time.process_time()
    return {"cpu": end - begin, "solver": solver, "later": end - both, "kernels": spent}


if __name__ == "__main__":
    print(json.dumps(compile_all()))
