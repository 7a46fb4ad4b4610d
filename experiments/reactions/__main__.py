"""python -m experiments.reactions: which atom of the product came from which of the precursors, by attention alone.

Needs `make realmodels`. A quarter of an hour on one core; a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from attnflow.evaluate import bootstrap
from experiments import grid, records, report
from experiments.packaged import load
from experiments.reactions import made, maps, scores

STUDY = "reactions"
COMMAND = f"python -m experiments.{STUDY}"
SEED = 7
#: What the figures of each table depend on.
SETTINGS = {
    "written": {
        "seed": SEED,
        "samples": grid.SAMPLES,
        "rows": [scores.HAND_PICKED, *(row.name for row in scores.WRITTEN)],
    },
    "masked": {"seed": SEED, "rows": [*(row.name for row in scores.MASKED), *scores.OTHERS]},
}
#: Ways to make a map of scores.
WAYS = {"nearest": maps.nearest, "one-to-one": maps.best, "guided": maps.guided}


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="reactions as they are written")
    parser.add_argument(
        "--masked", type=int, default=40, help="of them, asked with [MASK] at each atom in turn"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what is measured already")
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load("rxnmapper")
    found = {one.text: one for one in made.reactions(options.count, SEED)}

    def measure(name, text):
        reaction = found[text]
        tried = getattr(scores, name)(loaded, reaction)
        return {
            "template": reaction.template,
            "right": {
                method: {
                    way: maps.right(map_(given, reaction), reaction).tolist() for way, map_ in WAYS.items()
                }
                for method, given in tried.items()
            },
        }

    tables = [about(list(found.values()))]
    for name, count in (("written", options.count), ("masked", options.masked)):
        kept = records.collect(
            STUDY,
            name,
            SETTINGS[name],
            list(found)[:count],
            lambda text, name=name: measure(name, text),
            fresh=options.fresh,
        )
        tables.append(table(name, kept))
    report.publish(STUDY, COMMAND, tables)
    draw(tables[1:])


def about(reactions: list[made.Reaction]) -> report.Table:
    """What there is to find, and how often chance finds it."""
    chances = [
        np.mean([len(o) / alike.sum() for o, alike in zip(one.origins, maps.same_element(one))])
        for one in reactions
    ]
    atoms = sum(len(one.origins) for one in reactions)
    heads = ["reactions", "atoms of products", "atoms right by chance, nearest"]
    return report.Table("about", heads, [[len(reactions), atoms, float(np.mean(chances))]], digits=2)


def table(name: str, kept: list[records.Record]) -> report.Table:
    """Accuracy of atoms and of whole reactions, each method a row."""
    rows = []
    for method in kept[0]["right"]:
        atoms = {way: [np.mean(one["right"][method][way]) for one in kept] for way in WAYS}
        whole = [float(np.all(one["right"][method]["guided"])) for one in kept]
        rows.append([method, *(bootstrap(atoms[way]) for way in WAYS), bootstrap(whole)])
    heads = ["method", *(f"atoms right, {way}" for way in WAYS), "whole reactions right, guided"]
    return report.Table(name, heads, rows, digits=2)


def draw(tables: list[report.Table]) -> None:
    """Atoms right, both questions to the model side by side, and each way to make a map."""
    height = 0.24 * sum(len(one.rows) for one in tables) + 1.6
    with report.figure(STUDY, "atoms", height=height) as drawn:
        panels = drawn.subplots(
            len(tables),
            sharex=True,
            squeeze=False,
            gridspec_kw={"height_ratios": [len(one.rows) for one in tables]},
        )
        for axes, one in zip(panels[:, 0], tables):
            order = [row[0] for row in sorted(one.rows, key=lambda row: row[3].estimate)]
            series = {way: {row[0]: row[1 + place] for row in one.rows} for place, way in enumerate(WAYS)}
            report.estimates(axes, series, order)
            axes.set_title(
                {"written": "as written", "masked": "one atom masked"}[one.name], fontsize=9, color="#808080"
            )
        panels[-1, 0].set_xlabel("part of the product's atoms that are mapped right")


if __name__ == "__main__":
    main()
