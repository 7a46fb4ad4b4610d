"""All targets of one network at once beside one after the other, and two threads beside one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attnflow import FlowNetwork, attribute
from benchmarks import attention
from benchmarks.flow import minilm
from benchmarks.measure import ratio, turns
from benchmarks.rows import Row


def rows(quick: bool) -> Iterator[Row]:
    n = 64 if quick else 128
    yield from at_once(f"MiniLM, n={n}", minilm(n), 2 if quick else 3)
    if not quick:
        yield from at_once("synthetic causal, n=256, 6 layers", attention.decoder(6, 256), 2)


def at_once(case: str, network: FlowNetwork, repeats: int) -> Iterator[Row]:
    targets = list(range(network.size))

    def together(threads: int) -> Any:
        return attribute(network, method="flow", targets=targets, bounds=False, threads=threads)

    def apart() -> Any:
        return [attribute(network, method="flow", targets=[t], bounds=False, threads=1) for t in targets]

    together(1)
    together(2)
    one, two, single = turns([lambda: together(1), lambda: together(2), apart], repeats, wall=True)
    for number, result in enumerate(single.answer):
        for other in (one.answer, two.answer):
            if not (other.scores[number] == result.scores[0]).all():
                raise RuntimeError(
                    f"{case}: target {number} differs between one run for all and its own run."
                )
    yield Row(case, f"{network.size} targets, each on its own", single.median, "s")
    yield Row(case, "all at once, one thread", one.median, "s")
    yield Row(case, "all at once / each on its own", ratio(one, single), "x", most=0.25)
    yield Row(case, "all at once, two threads", two.median, "s")
    yield Row(case, "one thread / two threads", ratio(one, two), "x", least=1.7)
