"""Long contexts: all inputs for the last token of a deep causal stack, time and peak memory.

Each case runs in a process of its own, whose peak resident memory tells what was needed beyond the caller's
array. `python -m benchmarks.long LAYERS N THREADS` prints one case as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator

from benchmarks.measure import apart
from benchmarks.rows import Row

#: Seconds after which a case counts as not in time.
LIMIT = 240.0


def rows(quick: bool) -> Iterator[Row]:
    for layers, n, goal in (
        ((8, 512, None),) if quick else ((32, 1024, None), (32, 2048, 10.0), (32, 4096, None))
    ):
        case = f"synthetic causal, {layers} layers, n={n}, float32, last token, 2 threads"
        found = apart("benchmarks.long", layers, n, 2, limit=LIMIT)
        array = 4 * layers * n * n / 1e6
        yield Row(case, "the caller's array", array, "MB")
        if found is None:
            note = f"stopped after {LIMIT:.0f} s, making the attention included"
            yield Row(case, "attnflow, all players, capacities as given", None, "s", most=goal, note=note)
            continue
        yield Row(case, "attnflow, all players, capacities as given", found["seconds"], "s", most=goal)
        grown = found["peak_mb"] - found["before_mb"]
        most = 2.5 if goal else None
        yield Row(case, "peak memory beyond the array / the array", grown / array, "x", most=most)
        yield Row(case, "peak memory beyond the array", grown, "MB")


def one(layers: int, n: int, threads: int) -> dict[str, float]:
    import numpy as np

    from attnflow import FlowNetwork, attribute
    from attnflow.maxflow.compilation import compile_kernels
    from benchmarks import attention

    compile_kernels()
    small = attention.with_residual(attention.attention(2, 8, causal=True))
    attribute(FlowNetwork.decoder(small), method="flow", targets=[-1], bounds=False, threads=threads)
    A = attention.with_residual(attention.attention(layers, n, causal=True))
    assert A.dtype == np.float32
    reset_peak()
    before = resident_mb()
    begin = time.perf_counter()
    result = attribute(FlowNetwork.decoder(A), method="flow", targets=[-1], bounds=False, threads=threads)
    seconds = time.perf_counter() - begin
    after = peak_mb()
    if not (result.scores >= 0).all() or abs(result.total[0] - 1) > 1e-5:
        raise RuntimeError(f"v(N) = {result.total[0]}, expected 1")
    return {"seconds": seconds, "peak_mb": after, "before_mb": before}


def reset_peak() -> None:
    """Forgets the largest resident memory so far (Linux)."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_mb() -> float:
    """Largest resident memory of this process since `reset_peak`."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e6


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


if __name__ == "__main__":
    print(json.dumps(one(*map(int, sys.argv[1:]))))
