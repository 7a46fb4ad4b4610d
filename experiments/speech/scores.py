"""Scores between the words that Whisper wrote and stretches of 0.1 seconds of its clip, by every method.

Stretches, not frames, are the players: single frames of 20 ms are many and nearly alike. Methods that score
frames are summed over them. A word is asked about at its first token.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import Trace, capture
from attnflow.evaluate.baselines.chefer import rolled
from experiments import perturbed
from experiments.grid import Row
from experiments.packaged import Packaged
from experiments.speech.hearing import Heard

Scores = NDArray[np.float64]

#: Frames of a stretch.
WIDTH = 5
#: What the decoder is given before it decides: the start, and that it shall write no times.
PROMPT = 2
BLIND = (
    Row("attention", "attention"),
    Row("rollout", "attention"),
    Row("rollout", "attention", prefix="closed"),
    Row("flow", "attention"),
    Row("flow", "attention", prefix="closed"),
    Row("shapley", "attention"),
    Row("shapley", "attention", prefix="closed"),
    Row("flow", "attention", "open"),
    Row("rollout", "norm"),
)
ASKED = (
    Row("flow", "conserved"),
    Row("flow", "conserved", signed=True),
    Row("flow", "relevance"),
    Row("flow", "relevance", signed=True),
    Row("shapley", "relevance"),
    Row("flow", "attention-gradient", "open"),
    Row("flow", "attention-gradient"),
)
CROSS = "cross-attention, all layers and heads"
HEADS = "cross-attention, Whisper's alignment heads"
OTHERS = (CROSS, HEADS, "chefer", *perturbed.NAMES, "random")


def stretches(frames: int) -> list[list[int]]:
    """Frames of each stretch; the last may be shorter."""
    return [list(range(start, min(start + WIDTH, frames))) for start in range(0, frames, WIDTH)]


def every(loaded: Packaged, heard: Heard) -> dict[str, Scores]:
    """Scores `[words, stretches]` by name, a row for each word understood; call within `shortened`."""
    model, inputs = loaded.model, heard.inputs()
    targets = [position for _, position in heard.words]
    parts = stretches(heard.frames)
    count = len(parts)
    alone = [[heard.frames + place] for place in range(len(heard.ids))]
    players = {"players": parts + alone, "closed": parts + alone[:PROMPT]}
    trace = capture(model, inputs=inputs, record=["attention", "norm"])
    trace = replace(trace, prompt=PROMPT)
    found: dict[str, Scores] = {}
    for row in BLIND:
        found[row.name] = row.scores(trace, targets, players[row.prefix])[:, :count]
    heads = capture(model, inputs=inputs, heads="all").record("attention").cross
    picked = loaded.model.generation_config.alignment_heads
    found[CROSS] = _summed(np.mean([layer.mean(0) for layer in heads], axis=0)[targets], parts)
    found[HEADS] = _summed(np.mean([heads[layer][head] for layer, head in picked], axis=0)[targets], parts)
    rows: dict[str, list[Scores]] = {}
    for target in targets:
        asked = capture(
            model,
            inputs=inputs,
            record=sorted({row.record for row in ASKED}),
            target=target,
            output=heard.ids[target + 1],
        )
        for row in ASKED:
            rows.setdefault(row.name, []).append(row.scores(asked, [target], players["players"])[0, :count])
        rows.setdefault("chefer", []).append(_chefer(asked, target, parts))
    found |= {name: np.array(scores) for name, scores in rows.items()}
    found |= _perturbed(model, heard, targets, parts)
    rng = np.random.default_rng([7, *heard.clip.name.encode()])
    found["random"] = rng.random((len(targets), count))
    return found


def _chefer(trace: Trace, target: int, parts: list[list[int]]) -> Scores:
    return _summed(rolled(trace, (target,))[None], parts)[0]


def _summed(scores: NDArray[Any], parts: list[list[int]]) -> Scores:
    """Scores of frames `[rows, frames]` to `[rows, stretches]`."""
    return np.stack([scores[:, part].sum(1) for part in parts], axis=1).astype(np.float64)


def _perturbed(model: Any, heard: Heard, targets: list[int], parts: list[list[int]]) -> dict[str, Scores]:
    """Others' methods on the spectrogram, hidden by its quietest value: silence."""
    decoder = heard.inputs()["decoder_input_ids"]
    ids = torch.tensor([heard.ids[target + 1] for target in targets])
    places = torch.zeros(heard.features.shape[1:], dtype=torch.long)
    for number, part in enumerate(parts):
        places[:, 2 * part[0] : 2 * part[-1] + 2] = number

    def logits(features: torch.Tensor) -> torch.Tensor:
        found = model(input_features=features, decoder_input_ids=decoder.expand(len(features), -1)).logits
        chosen: torch.Tensor = found[:, targets, ids]
        return chosen

    return perturbed.scores(logits, heard.features, heard.features.min(), places)
