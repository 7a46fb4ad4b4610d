"""`explain` on a loaded model beside the model's own bare forward pass, and where its time goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import attnflow
from benchmarks import models
from benchmarks.measure import Timed, ratio, turns
from benchmarks.profile import outside
from benchmarks.rows import Row


def rows(quick: bool) -> Iterator[Row]:
    for n in (128,) if quick else (128, 256):
        yield from attention(n, quick)
        yield from relevance(n, quick)


def attention(n: int, quick: bool) -> Iterator[Row]:
    """`flow` and `shapley` on attention capacities."""
    model, tokenizer = models.bundled("minilm")
    text = models.text(tokenizer, n)
    inputs = tokenizer(text, return_tensors="pt")
    case = f"MiniLM, n={n}, attention"

    def forward() -> None:
        with torch.no_grad():
            model(**inputs)

    def flow(**options: Any) -> Any:
        return attnflow.explain(
            model,
            text,
            tokenizer=tokenizer,
            capacity="attention",
            bounds=False,
            threads=1,
            method="flow",
            **options,
        )

    def shapley() -> Any:
        return attnflow.explain(
            model,
            text,
            tokenizer=tokenizer,
            capacity="attention",
            bounds=False,
            threads=1,
            method="shapley",
            stderr=0.005,
        )

    forward(), flow()
    bare, explained, traced = turns([forward, flow, lambda: captured(model, tokenizer, text)], 9)
    yield from compared(case, "forward pass", bare, "flow", explained, 2)
    yield Row(case, "capture / forward pass", ratio(traced, bare), "x")
    yield from stages(case, flow, bare)
    shapley()
    bare, explained = turns([forward, shapley], 3 if quick else 5)
    yield from compared(case, "forward pass", bare, "shapley, stderr=0.005", explained, 10)


def relevance(n: int, quick: bool) -> Iterator[Row]:
    """`flow` on relevance capacities with open residual, beside one forward and one backward pass."""
    model, tokenizer = models.bundled("sentiment")
    text = models.text(tokenizer, n)
    inputs = tokenizer(text, return_tensors="pt")
    case = f"MiniLM (sentiment), n={n}, relevance"

    def passes() -> None:
        embedded = model.get_input_embeddings()(inputs["input_ids"]).detach().requires_grad_(True)
        logits = model(inputs_embeds=embedded, attention_mask=inputs["attention_mask"]).logits
        torch.autograd.grad(logits.max(), embedded)

    def flow() -> Any:
        return attnflow.explain(
            model, text, tokenizer=tokenizer, bounds=False, threads=1, method="flow", capacity="relevance"
        )

    def eager() -> None:
        """The passes that any gradient with respect to attention needs: with weights."""
        embedded = model.get_input_embeddings()(inputs["input_ids"]).detach().requires_grad_(True)
        found = model(inputs_embeds=embedded, attention_mask=inputs["attention_mask"], output_attentions=True)
        torch.autograd.grad(found.logits.max(), [embedded, *found.attentions])

    before = [parameter.requires_grad for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    try:
        passes(), flow()
        both, explained = turns([passes, flow], 9)
        found = model.config._attn_implementation
        model.set_attn_implementation("eager")
        eager()
        weights = turns([eager], 5)[0]
        model.set_attn_implementation(found)
    finally:
        for parameter, wanted in zip(model.parameters(), before):
            parameter.requires_grad_(wanted)
    yield from compared(case, "forward + backward pass", both, "flow", explained, 2)
    yield Row(
        case, "eager forward + backward with weights / forward + backward pass", ratio(weights, both), "x"
    )
    yield from stages(case, flow, both)


def captured(model: Any, tokenizer: Any, text: str) -> Any:
    return attnflow.capture(model, text, tokenizer=tokenizer)


def compared(case: str, base: str, bare: Timed, name: str, explained: Timed, goal: float) -> Iterator[Row]:
    yield Row(case, base, bare.median, "s")
    yield Row(case, f"explain, {name}", explained.median, "s")
    yield Row(case, f"explain, {name} / {base}", ratio(explained, bare), "x", most=goal)


def stages(case: str, work: Any, bare: Timed) -> Iterator[Row]:
    """What is neither the solver's nor the passes' own."""
    for name, seconds in outside(work).items():
        yield Row(case, f"of it, {name} / forward pass", seconds / bare.median, "x")
