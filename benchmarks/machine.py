"""What it runs on: processor, cores, memory, versions, and how fast memory can be read."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from benchmarks.measure import timed

PACKAGES = (
    *("attnflow", "numpy", "numba", "torch", "transformers"),
    *("scipy", "igraph", "ortools", "networkx", "cvxpy", "clarabel", "scs"),
)


def describe() -> dict[str, object]:
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(_kilobytes("MemTotal") / 1e6, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "load": round(os.getloadavg()[0], 2),
    }


def bandwidth(threads: int = 1, megabytes: int = 512) -> float:
    """GB/s at which memory that no cache holds is summed once, float32."""
    size = megabytes * 1_000_000 // 4 // threads
    parts = [np.ones(size, dtype=np.float32) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def read() -> float:
            return sum(pool.map(lambda part: float(part.max()), parts))

        read()
        return megabytes / 1e3 / timed(read, 15, wall=True).least


def available_gb() -> float:
    return _kilobytes("MemAvailable") / 1e6


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)


def _kilobytes(name: str) -> float:
    found = _field("/proc/meminfo", name)
    return float(found.split()[0]) if found else 0.0


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
