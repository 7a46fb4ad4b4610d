"""What is graded on every sentence: methods, depths and controls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate.rows import Ours, Theirs
from attnflow.models.agreement.language import Sentence
from experiments.grid import Row

LAYERS = 4  # of the model
STEPS = 3

ROWS: tuple[Ours | Theirs, ...] = (
    Ours("flow", "conserved"),
    *(
        Ours(method, "attention", residual)
        for method in ("flow", "shapley", "central", "rollout")
        for residual in ((0.5, 0.0) if method == "rollout" else (0.5, 0.0, "open"))
    ),
    Ours("attention", "attention"),
    Ours("flow", "norm"),
    Ours("flow", "gradient"),
    Ours("flow", "gradient", "open"),
    Ours("flow", "attention-gradient", "open"),
    Ours("flow", "attention-gradient", 0.0),
    Ours("flow", "relevance"),
    Ours("shapley", "relevance"),
    Ours("flow", "relevance", signed=True),
    Ours("flow", "relevance", signed=True, steps=STEPS),
    Theirs("gradient-x-input"),
    Theirs("integrated-gradients", suffix=" · 20 steps"),
    Theirs("occlusion", {"scale": "logit"}, " of the logit"),
    Theirs("occlusion", {"scale": "logit", "hide": "delete"}, " of the logit · deleted"),
    Theirs("chefer"),
    Theirs("alti-rollout"),
    Theirs("gaf-attention"),
    Theirs("gaf-gradient"),
    Theirs("gaf-attention-gradient"),
)

DEPTHS = tuple(
    Row("flow", capacity, 0.5, layers=layers)
    for capacity in ("attention", "relevance")
    for layers in (
        *((first, LAYERS) for first in range(1, LAYERS + 1)),
        *((1, last) for last in range(1, LAYERS)),
    )
)


def controls(sentence: Sentence, seed: int) -> dict[str, NDArray[np.float64]]:
    """Scores that no model is asked for, by name.

    Args:
        sentence: with at least one noun before the verb.
        seed: of the random scores, drawn anew for each sentence.

    Returns:
        Float64 [tokens before the verb] each.
    """
    nouns = sorted((sentence.subject, *sentence.before, *sentence.between))
    at = np.arange(sentence.verb)
    words = [seed, *" ".join(sentence.words).encode()]
    return {
        "every noun alike": np.isin(at, nouns).astype(float),
        "first noun": (at == nouns[0]).astype(float),
        "last noun": (at == nouns[-1]).astype(float),
        "random": np.random.default_rng(words).random(sentence.verb),
    }
