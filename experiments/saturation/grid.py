"""Which networks are made of each example, and of attention that is drawn at random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attnflow import FlowNetwork, Trace, capture
from attnflow.evaluate.baselines import scores
from attnflow.evaluate.prediction import prediction
from attnflow.trace import Record
from experiments.saturation.measures import ORDERS, elsewhere, measured

RESIDUALS: tuple[float | str, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, "open")
SCHEMES = ("attention", "norm", "gradient", "attention-gradient", "relevance")
BLIND = ("attention", "norm")
HEADS = 4  # single heads at most
BASE: dict[str, Any] = {
    "scheme": "attention",
    "residual": 0.5,
    "heads": "mean",
    "target": "default",
    "layers": None,
    "weights": "trained",
}
CONCENTRATIONS = (0.01, 0.1, 1.0, 10.0)
DEPTHS = (1, 2, 6, 12)
DRAWN_RESIDUALS: tuple[float | str, ...] = (0.0, 0.5, 0.9, "open")
SIZES = (16, 64)


@dataclass(frozen=True)
class Captured:
    """One example as the model read it."""

    trace: Trace
    heads: Trace
    target: tuple[int, ...]
    occlusion: dict[int, float]


def captured(model: Any, tokenizer: Any, text: str, target: int | None, *, logits: bool) -> Captured:
    """Runs a model on one input: every record, every head, occlusion."""
    if not logits:
        trace = capture(model, text, tokenizer=tokenizer, record=list(BLIND))
        heads = capture(model, text, tokenizer=tokenizer, heads="all")
        return Captured(trace, heads, (0,), {})
    made = prediction(model, text, tokenizer=tokenizer, target=target, record=list(SCHEMES))
    assert made.trace is not None
    heads = capture(model, inputs=made.tensors(), tokenizer=tokenizer, heads="all")
    lost = scores("occlusion", made)
    return Captured(made.trace, heads, made.target, {int(j): float(lost[j]) for j in made.hideable})


def rows(
    found: Captured, *, logits: bool, weights: str = "trained", orders: int | None = ORDERS
) -> Iterator[dict[str, Any]]:
    """Figures of every network of one example.

    Args:
        found: the example.
        logits: whether gradients were recorded.
        weights: "trained", or "fresh", for which fewer networks are made.
        orders: of Shapley values, or None.
    """
    base = {**BASE, "weights": weights}

    def row(network: FlowNetwork, place: tuple[int, ...], **setting: Any) -> dict[str, Any]:
        lost = found.occlusion if place == found.target else None
        return {**base, **setting, **measured(network, place, occlusion=lost, orders=orders)}

    schemes = SCHEMES if logits else BLIND
    for scheme in (
        schemes if weights == "trained" else [s for s in schemes if s in ("attention", "relevance")]
    ):
        for residual in RESIDUALS:
            network = FlowNetwork.from_trace(found.trace, scheme, residual)
            yield row(network, found.target, scheme=scheme, residual=residual)
    if weights != "trained":
        return
    size = FlowNetwork.from_trace(found.trace).size
    named = places(found.trace, size)
    for scheme in BLIND:
        for residual in RESIDUALS:
            network = FlowNetwork.from_trace(found.trace, scheme, residual)
            others = elsewhere(network, list(named.values()))
            for (name, place), same in zip(named.items(), others):
                made = row(network, (place,), scheme=scheme, residual=residual, target=name)
                yield {**made, "elsewhere": same}
    for name, trace in reduced(found.heads).items():
        for residual in (0.5, "open"):
            network = FlowNetwork.from_trace(trace, "attention", residual)
            yield row(network, found.target, residual=residual, heads=name)
    if found.trace.architecture != "encoder-decoder":
        record = found.trace.records["attention"]
        depth = len(record.encoder or record.decoder)
        for first in range(1, depth + 1):
            network = FlowNetwork.from_trace(found.trace, "attention", 0.5, layers=(first, depth))
            yield row(network, found.target, layers=[first, depth])


def places(trace: Trace, size: int) -> dict[str, int]:
    """Targets to compare: a special token at the start, a word in the middle, the last position."""
    if trace.architecture == "decoder":
        return {"middle": size // 2, "last": size - 1}  # the first reads itself alone
    return {"first": 0, "middle": size // 2, "last": size - 1}


def reduced(trace: Trace) -> dict[str, Trace]:
    """A trace of all heads as its largest heads, and as single ones."""
    from attnflow.trace import max_over_heads

    record = trace.records["attention"]
    count = min(layer.shape[0] for part in (record.encoder, record.decoder) for layer in part)

    def made(reduce: Any, heads: Any) -> Trace:
        kept = Record(
            *(tuple(reduce(A) for A in part) for part in (record.encoder, record.decoder, record.cross))
        )
        return replace(trace, records={"attention": kept}, heads=heads)

    singles = {f"head {h}": made(lambda A, h=h: A[h], "mean") for h in range(min(count, HEADS))}
    return {"max": made(max_over_heads, "max"), **singles}


def drawn(key: str, seed: int) -> Iterator[dict[str, Any]]:
    """Figures of attention whose rows are Dirichlet draws: large concentrations are even, small ones one-hot.

    Args:
        key: "layers/positions/concentration/draw".
        seed: of the study.
    """
    layers, size, concentration, draw = key.split("/")
    rng = np.random.default_rng([seed, int(layers), int(size), round(1000 * float(concentration)), int(draw)])
    n = int(size)
    A = rng.dirichlet(np.full(n, float(concentration)), size=(int(layers), n))
    trace = Trace.from_arrays(encoder=A)
    for residual in DRAWN_RESIDUALS:
        network = FlowNetwork.from_trace(trace, "attention", residual)
        yield {**BASE, "residual": residual, "weights": "dirichlet", **measured(network, (0,), orders=None)}


def draws(count: int = 2) -> list[str]:
    """Keys of all draws."""
    return [
        f"{layers}/{size}/{concentration}/{draw}"
        for layers in DEPTHS
        for size in SIZES
        for concentration in CONCENTRATIONS
        for draw in range(count)
    ]
