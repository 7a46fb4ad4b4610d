"""`python -m benchmarks.support`: the support matrix, docs/support.md and docs/support.json.

Every type that is done stands in the cache file; a run that was stopped goes on where it was (`--fresh`: from the
start).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.support", description=__doc__)
    parser.add_argument("types", nargs="*", help="only these model types; the files are left alone")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=240, help="limit for one type")
    parser.add_argument("--cache", type=Path, default=Path("build/support.jsonl"))
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--again", default="", help="statuses to run again, separated by commas")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()

    _warm()
    from benchmarks.support.checks import check
    from benchmarks.support.guard import each
    from benchmarks.support.types import model_types

    kinds = model_types()
    done = {} if options.fresh or options.types else _read(options.cache)
    again = set(options.again.split(","))
    done = {name: row for name, row in done.items() if row["status"] not in again}
    wanted = [
        kind for kind in kinds if (kind.name in options.types if options.types else kind.name not in done)
    ]
    options.cache.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    if not options.types:
        options.cache.write_text("".join(json.dumps(row) + "\n" for row in done.values()))
    for count, (kind, found) in enumerate(
        each(wanted, lambda kind: check(kind, options.verbose), options.jobs, options.seconds), start=1
    ):
        row = _row(kind, found)
        done[kind.name] = row
        if not options.types:
            with options.cache.open("a") as file:
                file.write(json.dumps(row) + "\n")
        else:
            print(json.dumps(row, indent=1, ensure_ascii=False))
        left = (time.monotonic() - started) / count * (len(wanted) - count) / 60
        print(
            f"{count}/{len(wanted)} {kind.name}: {row['status']} {row['reason'][:200]} [{left:.0f} min left]",
            file=sys.stderr,
            flush=True,
        )
    print(Counter(row["status"] for row in done.values()))
    if options.types:
        return 0
    from benchmarks.support.report import falls_short, write

    rows = [done[kind.name] for kind in kinds]
    write(rows, Path("docs"))
    short = falls_short(rows)
    print(*short, sep="\n")
    return int(bool(short))


def _row(kind: Any, found: dict[str, Any] | str) -> dict[str, Any]:
    from dataclasses import asdict

    from benchmarks.support.checks import Row

    if isinstance(found, dict):
        return found
    status = "not tried" if "took longer" in found else "failing"
    return asdict(Row(kind.name, kind.classes[0], status, found))


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["type"]: row for row in rows}


def _warm() -> None:
    """Loads what every process needs before any is forked."""
    warnings.simplefilter("ignore")
    import numpy as np
    import torch

    from benchmarks.support.packages import beside

    beside()
    import transformers
    import transformers.modeling_utils

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    import attnflow
    import attnflow.capture.huggingface

    layers = np.full((2, 3, 3), 1 / 3)
    network = attnflow.FlowNetwork.from_trace(attnflow.Trace.from_arrays(encoder=layers))
    for method in ("flow", "shapley", "rollout"):
        attnflow.attribute(network, method=method, targets=[0], threads=1, bounds=False)


if __name__ == "__main__":
    sys.exit(main())
