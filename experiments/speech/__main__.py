"""python -m experiments.speech: which stretch of sound a word was heard in, and which method finds it.

Needs `make realmodels` and, once, apt-get: Debian's espeak-ng and alsa-utils are unpacked into the user's cache. Some
ten minutes on one core; a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import torch

from attnflow.evaluate import auroc, bootstrap
from experiments import grid, records, report
from experiments.packaged import load
from experiments.speech import hearing, scores, spoken

STUDY = "speech"
COMMAND = f"python -m experiments.{STUDY}"
SETTINGS = {
    "seed": 7,
    "samples": grid.SAMPLES,
    "width": scores.WIDTH,
    "ours": [row.name for row in (*scores.BLIND, *scores.ASKED)],
    "others": list(scores.OTHERS),
}
FIGURES = ("auroc", "mass", "hit")


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--count", type=int, default=14, help="synthesised sentences")
    parser.add_argument("--fresh", action="store_true", help="forget what is measured already")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seed = int(SETTINGS["seed"])
    said = [" ".join(words) for words in itertools.islice(spoken.sentences(seed), options.count)]
    clips = {
        "synthesised": (said, lambda key: spoken.synthesised(tuple(key.split()), seed)),
        "recorded": (list(spoken.RECORDED), spoken.recorded),
    }
    loaded = load("whisper")
    kept = {
        name: records.collect(
            STUDY,
            name,
            SETTINGS,
            keys,
            lambda key, make=make: measure(loaded, make(key)),
            fresh=options.fresh,
        )
        for name, (keys, make) in clips.items()
    }
    tables = [table(name, found) for name, found in kept.items()]
    report.publish(STUDY, COMMAND, [about(kept), *tables])
    draw(tables)


def measure(loaded, clip):
    """Per method the mean over the clip's understood words of how well it tells when they are spoken."""
    heard = hearing.hear(loaded, clip)
    times = [
        (part[0] / hearing.FRAMES, (part[-1] + 1) / hearing.FRAMES) for part in scores.stretches(heard.frames)
    ]
    own = [inside(times, clip.spans[place]) for place, _ in heard.words]
    found = {}
    if own:
        with hearing.shortened(loaded.model, heard.frames):
            found = scores.every(loaded, heard)
    words = {name: [graded(row, span) for row, span in zip(rows, own)] for name, rows in found.items()}
    return {
        "text": heard.text,
        "words": len(clip.words),
        "understood": len(own),
        "share": float(np.mean(own)) if own else None,
        "found": {
            name: {f: float(np.mean([w[f] for w in rows])) for f in FIGURES} for name, rows in words.items()
        },
    }


def inside(times, span):
    """Which stretches have their middle within a span."""
    return np.array([span[0] <= (first + last) / 2 < span[1] for first, last in times])


def graded(scores, own):
    """A word's figures: AUROC, share of the positive score that lies within, whether the highest does.

    Args:
        scores: float [stretches].
        own: bool [stretches]. Where nothing scores above 0 the share is that of a score spread evenly.
    """
    positive = np.maximum(scores, 0)
    total = positive.sum()
    return {
        "auroc": auroc(scores, own),
        "mass": float(positive[own].sum() / total) if total > 0 else float(own.mean()),
        "hit": float(own[scores == scores.max()].mean()),
    }


def about(kept) -> report.Table:
    rows = [
        [
            name,
            len(found),
            sum(one["words"] for one in found),
            sum(one["understood"] for one in found),
            float(np.mean([one["share"] for one in found if one["share"] is not None])),
        ]
        for name, found in kept.items()
    ]
    heads = ["clips", "number", "words", "of them understood", "share of the clip that a word lasts"]
    return report.Table("about", heads, rows, digits=2)


def table(name: str, kept: list[records.Record]) -> report.Table:
    """Each method a row, the best first; intervals over clips."""
    understood = [one["found"] for one in kept if one["found"]]
    rows = [
        [
            method,
            *(bootstrap([one[method][figure] for one in understood]) for figure in FIGURES),
            bootstrap([one[method]["auroc"] - one[grid.REFERENCE]["auroc"] for one in understood]),
        ]
        for method in understood[0]
    ]
    rows.sort(key=lambda row: -row[1].estimate)
    heads = [
        "method",
        "AUROC",
        "score within the word",
        "highest within the word",
        f"AUROC less that of {grid.REFERENCE}",
    ]
    return report.Table(name, heads, rows, digits=2)


def draw(tables: list[report.Table]) -> None:
    """AUROC of both kinds of clips."""
    both = {one.name: {row[0]: row[1] for row in one.rows} for one in tables}
    order = list(both["synthesised"])[::-1]
    with report.figure(STUDY, "auroc", height=0.24 * len(order) + 0.8) as drawn:
        axes = drawn.subplots()
        report.estimates(axes, both, order, chance=0.5)
        axes.set_xlabel("AUROC of the stretches in which the word is spoken")


if __name__ == "__main__":
    main()
