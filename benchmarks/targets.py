"""All targets of one network at once beside one after the other, and two threads beside one.

Both for the solver alone, on a network that is there already, and for `explain`, where one call also captures once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attnflow
from attnflow import Attribution, FlowNetwork, attribute
from benchmarks import attention, models
from benchmarks.flow import minilm
from benchmarks.measure import ratio, turns
from benchmarks.rows import Row


def rows(quick: bool) -> Iterator[Row]:
    n = 64 if quick else 128
    yield from at_once(f"MiniLM, n={n}", minilm(n), 2 if quick else 3)
    yield from explained(n, 1 if quick else 2)
    if not quick:
        yield from at_once("synthetic causal, n=256, 6 layers", attention.decoder(6, 256), 2)


def explained(n: int, repeats: int) -> Iterator[Row]:
    """`explain` for all targets in one call, beside a call for each."""
    model, tokenizer = models.bundled("minilm")
    text = models.text(tokenizer, n)

    def ask(target: Any) -> Any:
        return attnflow.explain(
            model,
            text,
            tokenizer=tokenizer,
            capacity="attention",
            method="flow",
            target=target,
            bounds=False,
            threads=1,
        )

    ask("all")
    together, apart = turns([lambda: ask("all"), lambda: [ask(t) for t in range(n)]], repeats)
    case = f"MiniLM, n={n}, explain"
    compare(case, together.answer, apart.answer)
    yield Row(case, f"{n} targets, a call for each", apart.median, "s")
    yield Row(case, "all in one call", together.median, "s")
    yield Row(case, "all in one call / a call for each", ratio(together, apart), "x")


def compare(case: str, together: Attribution, apart: Sequence[Attribution]) -> None:
    """Refuses scores that differ between one run for all targets and a run for each."""
    for number, result in enumerate(apart):
        if not (together.scores[number] == result.scores[0]).all():
            raise RuntimeError(f"{case}: target {number} differs between one run for all and its own run.")


def at_once(case: str, network: FlowNetwork, repeats: int) -> Iterator[Row]:
    targets = list(range(network.size))

    def together(threads: int) -> Any:
        return attribute(network, method="flow", targets=targets, bounds=False, threads=threads)

    def apart() -> Any:
        return [attribute(network, method="flow", targets=[t], bounds=False, threads=1) for t in targets]

    together(1)
    together(2)
    one, two, single = turns([lambda: together(1), lambda: together(2), apart], repeats, wall=True)
    for answer in (one.answer, two.answer):
        compare(case, answer, single.answer)
    yield Row(case, f"{network.size} targets, each on its own", single.median, "s")
    yield Row(case, "all at once, one thread", one.median, "s")
    yield Row(case, "all at once / each on its own", ratio(one, single), "x", most=0.25)
    yield Row(case, "all at once, two threads", two.median, "s")
    yield Row(case, "one thread / two threads", ratio(one, two), "x", least=1.7)
