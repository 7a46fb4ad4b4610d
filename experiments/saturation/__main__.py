"""`python -m experiments.saturation`: measures what is not measured yet, then writes tables, figures and the page."""

from __future__ import annotations

import argparse
from typing import Any

from experiments.records import Record, collect
from experiments.saturation import findings, grid
from experiments.saturation.measures import ORDERS
from experiments.saturation.systems import SYSTEMS, System, digest, fresh

SEED = 20_221


def measure(system: System, *, anew: bool) -> list[Record]:
    """Records of one model: trained weights for every input, fresh ones for every second."""
    import torch

    torch.set_num_threads(1)
    model, tokenizer = system.load()
    blank = fresh(model, SEED)
    inputs = system.inputs(SEED)

    def measured(key: str) -> Record:
        index = int(key)
        found = grid.captured(model, tokenizer, inputs[index], system.target, logits=system.logits)
        orders = ORDERS if system.fitted else None
        rows: list[dict[str, Any]] = list(grid.rows(found, logits=system.logits, orders=orders))
        if index % 2 == 0:
            raw = grid.captured(blank, tokenizer, inputs[index], system.target, logits=system.logits)
            rows += grid.rows(raw, logits=system.logits, weights="fresh", orders=orders)
        return {"rows": rows}

    settings = {"seed": SEED, "inputs": inputs, "weights": digest(model)}
    return collect("saturation", system.name, settings, map(str, range(len(inputs))), measured, fresh=anew)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.saturation", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget what is measured already")
    parser.add_argument(
        "--only", choices=[*SYSTEMS, "dirichlet"], help="measure this one, and publish nothing"
    )
    asked = parser.parse_args()
    found = {
        name: measure(system, anew=asked.fresh)
        for name, system in SYSTEMS.items()
        if asked.only in (None, name)
    }
    if asked.only in (None, "dirichlet"):
        found["dirichlet"] = collect(
            "saturation",
            "dirichlet",
            {"seed": SEED},
            grid.draws(),
            lambda key: {"rows": list(grid.drawn(key, SEED))},
            fresh=asked.fresh,
        )
    if asked.only is None:
        findings.publish(found)


if __name__ == "__main__":
    main()
