"""What the study measures: our methods by capacity scheme and residual, and the baselines."""

from __future__ import annotations

from attnflow.evaluate.rows import Ours, Row, Theirs

#: The most important rows.
FIRST: tuple[Row, ...] = (
    Theirs("random"),
    Theirs("integrated-gradients", suffix=" · 20 steps"),
    Theirs("occlusion"),
    Theirs("occlusion", {"hide": "delete"}, " by deletion"),
    Ours("flow", "conserved"),
    Ours("flow", "conserved", signed=True),
    Ours("flow", "conserved", signed=True, steps=3),
    Ours("shapley", "conserved"),
    Ours("rollout", "conserved"),
    Ours("flow", "relevance"),
    Ours("flow", "relevance", signed=True),
    Ours("flow", "relevance", signed=True, steps=6),
)

#: Rows measured on every model.
MAIN: tuple[Row, ...] = (
    *FIRST,
    Ours("flow", "attention"),
    Ours("shapley", "attention"),
    Ours("shapley", "relevance"),
    Ours("flow", "attention-gradient"),
    Ours("flow", "attention-gradient", "open"),
    Theirs("chefer"),
    Theirs("alti-rollout"),
    Theirs("gradient-x-input"),
    Theirs("gradient-norm"),
    Ours("rollout", "attention"),
    Ours("attention", "attention"),
    Theirs("gaf-attention"),
    Theirs("gaf-gradient"),
    Theirs("gaf-attention-gradient"),
)

#: Rows measured where passes are cheap.
MORE: tuple[Row, ...] = (
    Ours("flow", "attention", 0.0),
    Ours("shapley", "attention", 0.0),
    Ours("rollout", "attention", 0.0),
    Ours("flow", "attention", "open"),
    Ours("central", "attention"),
    Ours("flow", "norm"),
    Ours("shapley", "norm"),
    Ours("rollout", "norm"),
    Ours("flow", "norm", "open"),
    Ours("flow", "gradient"),
    Ours("flow", "gradient", "open"),
    Ours("shapley", "attention-gradient", "open"),
    Ours("flow", "attention-gradient", "open", signed=True),
    Ours("flow", "attention-gradient", "open", signed=True, steps=6),
    Ours("flow", "relevance", 0.0),
    Ours("flow", "relevance", 0.5),
    Ours("flow", "relevance", steps=6),
    Ours("shapley", "relevance", signed=True),
    Ours("central", "relevance"),
    Ours("rollout", "relevance", 0.5),
    Theirs("occlusion", {"scale": "logit"}, " of the logit"),
    Theirs("integrated-gradients", {"steps": 6}, " · 6 steps"),
)

#: Rows measured only where a pass takes about a millisecond.
DEAR: tuple[Row, ...] = (Theirs("shapley-sampling", {"samples": 10}, " · 10 orders"),)

#: Rows for which the whole curves are drawn.
CURVES = {
    row.name
    for row in (
        *FIRST,
        Ours("flow", "attention"),
        Theirs("chefer"),
        Theirs("gaf-attention-gradient"),
        Theirs("shapley-sampling", {}, " · 10 orders"),
    )
}
