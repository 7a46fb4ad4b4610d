"""python -m experiments.vision: does what DINOv2's one vector draws on lie on the object, and by which method?

Needs `make realmodels` and, once, apt-get: Debian's Noto emoji font is unpacked into the user's cache. Some five
minutes on one core; a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from attnflow.evaluate import auroc, bootstrap
from experiments import grid, perturbed, records, report
from experiments.packaged import load
from experiments.vision import pictures, scores

STUDY = "vision"
COMMAND = f"python -m experiments.{STUDY}"
SETTINGS = {
    "seed": 7,
    "samples": grid.SAMPLES,
    "steps": perturbed.STEPS,
    "mean of": 30,
    "ours": [row.name for row in (*scores.BLIND, *scores.ASKED)],
    "others": list(scores.OTHERS),
}
#: Pictures whose mean [CLS] vector the direction is measured from.
MEAN_OF = int(SETTINGS["mean of"])


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="composites")
    parser.add_argument("--fresh", action="store_true", help="forget what is measured already")
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded, seed = load("dinov2"), int(SETTINGS["seed"])
    made = {
        "composites": (pictures.names(options.count), lambda name: pictures.composite(name, seed)),
        "photographs": (list(pictures.PHOTOGRAPHS), pictures.photograph),
    }
    vectors = [scores.vector(loaded, pictures.composite(name, seed)) for name in pictures.names(MEAN_OF)]
    mean = torch.stack(vectors).mean(0)
    kept = {
        name: records.collect(
            STUDY,
            name,
            SETTINGS,
            keys,
            lambda key, make=make: measure(loaded, make(key), mean),
            fresh=options.fresh,
        )
        for name, (keys, make) in made.items()
    }
    tables = [about(kept), composites(kept["composites"]), photographs(kept["photographs"])]
    report.publish(STUDY, COMMAND, tables)
    draw(loaded, mean, seed)


def measure(loaded, picture, mean):
    """AUROC of the object's patches, and whether the highest patch is one of them."""
    own = picture.patches
    found = scores.every(loaded, picture, mean)
    return {
        "share": float(own.mean()),
        "auroc": {name: auroc(given, own) for name, given in found.items()},
        "pointing": {name: float(own[given == given.max()].mean()) for name, given in found.items()},
    }


def about(kept) -> report.Table:
    heads = ["pictures", "number", "share of patches on the object"]
    rows = [
        [name, len(found), float(np.mean([one["share"] for one in found]))] for name, found in kept.items()
    ]
    return report.Table("about", heads, rows, digits=2)


def composites(kept: list[records.Record]) -> report.Table:
    """Each method a row, the best first."""
    rows = [
        [
            name,
            *(bootstrap([one[figure][name] for one in kept]) for figure in ("auroc", "pointing")),
            bootstrap([one["auroc"][name] - one["auroc"][grid.REFERENCE] for one in kept]),
        ]
        for name in kept[0]["auroc"]
    ]
    rows.sort(key=lambda row: -row[1].estimate)
    heads = ["method", "AUROC", "highest patch on the object", f"AUROC less that of {grid.REFERENCE}"]
    return report.Table("composites", heads, rows, digits=2)


def photographs(kept: list[records.Record]) -> report.Table:
    """AUROC on each of the few photographs."""
    rows = [[name, *(one["auroc"][name] for one in kept)] for name in kept[0]["auroc"]]
    rows.sort(key=lambda row: -float(np.mean(row[1:])))
    return report.Table("photographs", ["method", *(one["key"] for one in kept)], rows, digits=2)


def draw(loaded, mean, seed: int) -> None:
    """Some pictures, and what some methods say of them."""
    shown = [pictures.composite(name, seed) for name in pictures.names(4)]
    shown += [pictures.photograph(name) for name in ("flower", "coins")]
    by_picture = [scores.every(loaded, picture, mean) for picture in shown]
    with report.figure(STUDY, "examples", width=7.2, height=1.25 * (len(SHOWN) + 1)) as drawn:
        axes = drawn.subplots(len(SHOWN) + 1, len(shown), squeeze=False)
        for column, (picture, found) in enumerate(zip(shown, by_picture)):
            axes[0, column].imshow(picture.pixels)
            for row, name in enumerate(SHOWN, start=1):
                axes[row, column].imshow(found[name].reshape(pictures.GRID, pictures.GRID), cmap="magma")
        for axis in axes.ravel():
            axis.set(xticks=[], yticks=[])
        for row, name in enumerate(SHOWN, start=1):
            axes[row, 0].set_ylabel(name.replace(", ", "\n"), fontsize=6.5)


#: Methods of the figure.
SHOWN = (
    "flow, relevance, open",
    "chefer",
    perturbed.OCCLUSION,
    "attention, attention",
    "rollout, attention, residual 0.5",
    "shapley, attention, residual 0.5",
)

if __name__ == "__main__":
    main()
