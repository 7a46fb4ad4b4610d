"""What is graded on every token of an answer."""

from __future__ import annotations

from attnflow.evaluate.rows import Ours, Theirs
from experiments.reasoning.answers import STEPS

ROWS: tuple[Ours | Theirs, ...] = (
    Ours("flow", "conserved"),
    Ours("flow", "relevance"),
    Ours("flow", "relevance", signed=True),
    Ours("flow", "relevance", signed=True, steps=STEPS),
    Ours("shapley", "relevance"),
    Ours("flow", "attention-gradient", "open"),
    Ours("flow", "attention-gradient"),
    Ours("flow", "gradient"),
    Ours("flow", "attention"),
    Ours("flow", "attention", prefix="closed"),
    Ours("shapley", "attention"),
    Ours("shapley", "attention", prefix="closed"),
    Ours("central", "attention"),
    Ours("rollout", "attention"),
    Ours("rollout", "attention", prefix="closed"),
    Ours("attention", "attention"),
    Ours("flow", "norm"),
    Ours("flow", "norm", prefix="closed"),
    Theirs("integrated-gradients", suffix=" · 20 steps"),
    Theirs("gradient-x-input"),
    Theirs("gradient-norm"),
    Theirs("occlusion", {"scale": "logit"}, " of the logit"),
    Theirs("chefer"),
    Theirs("gaf-attention"),
    Theirs("gaf-gradient"),
    Theirs("gaf-attention-gradient"),
    Theirs("random"),
)
