"""Formulas that were held out, the model's answers to them, and one prediction for every token of an answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from attnflow.capture import capture_targets
from attnflow.evaluate.prediction import of_trace
from attnflow.evaluate.rows import Case
from attnflow.models.logic import formulas as logic_formulas
from attnflow.models.ltl import formulas as ltl_formulas
from attnflow.trace import GRADIENT_RECORDS, Trace

SEED = 7
SIZES = range(6, 13)  # nodes
STEPS = 6  # points that gradients are averaged over, where a row asks for it
RECORDS = ("attention", "norm", *GRADIENT_RECORDS)

#: By task: where formulas come from, and which are held out most strictly.
SOURCES: dict[str, tuple[ModuleType, str]] = {
    "logic": (logic_formulas, "function"),
    "ltl": (ltl_formulas, "meaning"),
}


@dataclass(frozen=True)
class Answer:
    """A model's answer.

    Attributes:
        formula: its tokens.
        words: the answer's tokens, without the end.
        cases: one prediction per token of the answer, and one for its end.
    """

    formula: tuple[str, ...]
    words: tuple[str, ...]
    cases: tuple[Case, ...]


def texts(task: str, count: int) -> Iterator[str]:
    """Different held-out formulas, sizes drawn at random."""
    source, part = SOURCES[task]
    rng = random.Random(SEED)
    sizes = [rng.choice(SIZES) for _ in range(count)]
    drawn = {size: iter(source.distinct(size, sizes.count(size), part, SEED).texts()) for size in SIZES}
    for size in sizes:
        yield " ".join(next(drawn[size]))


def answer(model: Any, tokenizer: Any, text: str) -> Answer:
    """Runs the model greedily and takes down what every row needs, for each token of its answer.

    Args:
        model: the encoder-decoder.
        tokenizer: its tokenizer.
        text: a formula.
    """
    asked: dict[str, Any] = {"tokenizer": tokenizer}
    once = capture_targets(model, text, record=list(RECORDS), **asked)
    several = capture_targets(model, text, record=["relevance"], steps=STEPS, **asked)
    ends = [at for at, trace in enumerate(once) if _label(trace) == tokenizer.eos_token]
    length = ends[0] if ends else len(once)
    cases = tuple(_case(model, tokenizer, *pair) for pair in zip(once[: length + 1], several[: length + 1]))
    return Answer(tuple(text.split()), tuple(_label(trace) for trace in once[:length]), cases)


def _case(model: Any, tokenizer: Any, once: Trace, several: Trace) -> Case:
    kept = {("attention", 1), ("norm", 1), ("gradients", 1)}
    traces = dict.fromkeys(kept, (once, 0.0)) | {("gradients", STEPS): (several, 0.0)}
    return Case(of_trace(model, once, tokenizer), traces)


def _label(trace: Trace) -> str:
    return trace.decisions[0].label or ""
