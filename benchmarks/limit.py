"""The physical limit: reading every capacity once from memory, and how far measured times are from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from benchmarks import machine
from benchmarks.rows import Row


def rows(quick: bool) -> Iterator[Row]:
    speeds = {threads: machine.bandwidth(threads, 128 if quick else 1024) for threads in (1, 2)}
    for threads, speed in speeds.items():
        yield Row("memory", f"reading float32, {threads} thread{'s'[: threads - 1]}", speed, "GB/s")
    from benchmarks.run import RESULTS

    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for section in ("flow", "long"):
        for row in known.get(section, {"rows": ()})["rows"]:
            sizes = _capacities(row["case"])
            if (
                not row["measure"].startswith("attnflow, all players")
                or row["value"] is None
                or sizes is None
            ):
                continue
            if "lowering" in row["measure"]:
                continue
            speed = speeds[2 if "2 threads" in row["case"] else 1]
            once = 4 * sizes / 1e9 / speed
            yield Row(row["case"], "one read of its capacities", once, "s")
            yield Row(row["case"], "measured time, in reads", row["value"] / once, "x")


def _capacities(case: str) -> float | None:
    """Number of capacities, from the name of a case; None if it does not say."""
    n = re.search(r"n=([\d,]+)(?!.*\+)", case)
    if n is None:
        return None
    layers = re.search(r"(\d+) layers", case)
    size = int(n[1].replace(",", ""))
    half = 0.5 if "causal" in case else 1.0  # above the diagonal there is nothing to read
    return half * (int(layers[1]) if layers else 6) * size * size
