"""One target, all inputs: v({j}) of every player, beside scipy, ortools, igraph and networkx."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace

from attnflow import FlowNetwork, capture_targets
from benchmarks import attention, models, rivals
from benchmarks.measure import once, timed
from benchmarks.rows import Row

#: Seconds that one rival may spend on one target, beyond which some players stand for all.
ENOUGH = 30.0


def rows(quick: bool) -> Iterator[Row]:
    for n in (64, 128) if quick else (64, 128, 256):
        network = minilm(n)
        for name, target in (("[CLS]", 0), ("mid-sentence", n // 2)):
            goal = 100 if n == 256 else None
            yield from versus(f"MiniLM, n={n}, {name}", network, target, goal, ("scipy", "ortools", "igraph"))
    for n in (64, 128) if quick else (64, 128, 256):
        network = relevance(n)
        case = f"MiniLM (sentiment), n={n}, relevance, open residual, [CLS]"
        yield from versus(case, network, 0, 100 if n == 256 else None, ("scipy", "ortools", "igraph"))
    network = attention.encoder(12, 32)
    yield from versus(
        "synthetic, n=32, 12 layers", network, 16, 10_000, ("networkx",), some=4 if quick else None
    )
    found = encoder_decoder()
    if found is not None:
        case = f"annalog (encoder-decoder, 3 + 3 layers), n={found.groups[0].size} + {found.size}, last token"
        yield from versus(case, found, found.size - 1, None, ("scipy", "ortools", "igraph"))
    found = None if quick else causal(128)
    if found is not None:
        yield from versus(
            "Gemma 3 270M (causal, 18 layers), n=128, last token", found, 127, None, ("scipy", "ortools")
        )
    if not quick:
        network = attention.decoder(12, 512)
        yield from versus(
            "synthetic causal, n=512, 12 layers, last token", network, 511, None, ("scipy", "ortools"), some=8
        )


def versus(
    case: str,
    network: FlowNetwork,
    target: int,
    goal: float | None,
    names: tuple[str, ...],
    some: int | None = None,
) -> Iterator[Row]:
    """Times ours, then each rival and ours again; every rival's values are checked.

    Args:
        case: name of the rows.
        network: the network.
        target: position of the last group.
        goal: the fastest rival is to take at least this many times as long.
        names: of the rivals.
        some: how many players stand for all of a slow rival; None: all, unless that takes too long.
    """
    players = len(network.players)
    rivals.ours(network, target)
    cold = timed(lambda: rivals.ours(replace(network), target), 3)  # a copy has no lowered graph yet
    own = timed(lambda: rivals.ours(network, target), 5)
    yield Row(case, "attnflow, all players", own.median, "s")
    yield Row(case, "attnflow, lowering to integers included", cold.median, "s")
    problem = rivals.arcs(network, target)
    ratios = []
    for name in names:
        if importlib.util.find_spec(name) is None:
            yield Row(case, name, None, "s", note="not installed")
            continue
        solve = rivals.RIVALS[name](problem)
        first = once(lambda solve=solve: solve(problem.sources[players // 2])).median
        count = players if some is None and first * players < ENOUGH else min(players, some or 8)
        chosen = [number * players // count for number in range(count)]
        theirs = once(lambda solve=solve, chosen=chosen: [solve(problem.sources[j]) for j in chosen])
        rivals.check(network, target, problem, theirs.answer, chosen)
        again = timed(lambda: rivals.ours(network, target), 3)
        seconds = theirs.median * players / count
        ratios.append(seconds / min(own.median, again.median))
        note = "" if count == players else f"{count} players of {players}, times {players / count:g}"
        yield Row(case, name, seconds, "s", note=note)
    label = names[0] if len(names) == 1 else "fastest of them"
    yield Row(case, f"{label} / attnflow", min(ratios, default=None), "x", least=goal)


def minilm(n: int) -> FlowNetwork:
    """MiniLM's attention on a text of n tokens, residual 0.5."""
    model, tokenizer = models.bundled("minilm")
    (trace,) = capture_targets(model, models.text(tokenizer, n), tokenizer=tokenizer, record="attention")
    return FlowNetwork.from_trace(trace)


def relevance(n: int) -> FlowNetwork:
    model, tokenizer = models.bundled("sentiment")
    (trace,) = capture_targets(model, models.text(tokenizer, n), tokenizer=tokenizer, record="relevance")
    return FlowNetwork.from_trace(trace, "relevance")


def encoder_decoder() -> FlowNetwork | None:
    """A molecule that the model copies."""
    found = models.annalog()
    if found is None:
        return None
    model, symbols = found
    ids = models.molecule(symbols)
    inputs = {"input_ids": ids, "decoder_input_ids": ids[:, :-1]}
    (trace,) = capture_targets(model, inputs=inputs, record="attention")
    return FlowNetwork.from_trace(trace)


def causal(n: int) -> FlowNetwork | None:
    found = models.gemma()
    if found is None:
        return None
    model, tokenizer = found
    (trace,) = capture_targets(model, models.text(tokenizer, n), tokenizer=tokenizer, record="attention")
    return FlowNetwork.from_trace(trace)
