"""Sentences beside results that stand side by side: what differs, what is shared, how far they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution
from attnflow.comparison import Comparison
from attnflow.view import caption
from attnflow.view.numbers import counted
from attnflow.view.passage import visible

#: Players in the top whose overlap is shown, where there are at least twice as many.
TOP = 5

CORRELATION = "Rank correlation (Spearman): 1 is the same order of the players, 0 unrelated, -1 the reverse."
NO_ORDER = "– stands where a result gives every player the same score, so that there is no order."
SCALES = "Each result is shaded on its own scale, which ends at its highest score of the text."


def names(comparison: Comparison) -> tuple[str, ...]:
    """Returns the results' names, safe to print."""
    return tuple(map(visible, comparison.names))


def recipe(comparison: Comparison) -> str:
    """Returns what all results have in common: method, capacities, model."""
    recipes = [caption.recipe(result).split(" · ") for result in comparison]
    shared = [part for part in recipes[0] if all(part in other for other in recipes)]
    return " · ".join([f"{counted(len(comparison), 'result')} side by side", *shared])


def heading(comparison: Comparison, row: int) -> str:
    """Returns the target's name; where the results explain different outputs, each of them."""
    return " / ".join(dict.fromkeys(caption.heading(result.targets[row]) for result in comparison))


def subtitle(comparison: Comparison, row: int) -> str:
    """Returns where the target stands, and how probable its output is where the results agree on that."""
    found = {caption.subtitle(result.targets[row]) for result in comparison}
    return found.pop() if len(found) == 1 else caption.subtitle(comparison[0].targets[row]).split(" · ")[0]


def units(comparison: Comparison) -> str | None:
    """Returns a warning if the results' scores have different units, else None."""
    found = list(dict.fromkeys(visible(caption.unit(result)) for result in comparison))
    if len(found) == 1:
        return None
    return (
        f"The scores have different units ({', '.join(found)}): compare order and shade between results, "
        "not numbers."
    )


def sentences(comparison: Comparison, row: int) -> list[str]:
    """Returns what a reader must know of one target: totals, and doubts about each result."""
    return [
        *said(comparison, lambda result: [caption.amount(result, row)]),
        *said(comparison, lambda result: filter(None, [caption.efficiency(result, row)])),
        *said(comparison, lambda result: caption.warnings(result, row)),
    ]


def remarks(comparison: Comparison) -> list[str]:
    """Returns what holds for every target."""
    return said(comparison, caption.remarks)


def said(comparison: Comparison, of: Callable[[Attribution], Iterable[str]]) -> list[str]:
    """Returns sentences of each result, the same sentence once, with the results it is not about left out.

    Args:
        comparison: the results.
        of: what is said of one result.

    Returns:
        Each sentence in the order it first came up, after the names of its results unless it holds for all.
    """
    holds: dict[str, list[str]] = {}
    for name, result in zip(names(comparison), comparison, strict=True):
        for sentence in of(result):
            holds.setdefault(sentence, []).append(name)
    every = len(comparison)
    return [
        sentence if len(owners) == every else f"{', '.join(owners)}: {sentence}"
        for sentence, owners in holds.items()
    ]


def top_size(comparison: Comparison) -> int:
    """Returns how many players count as the top: of few players at most half, so that sharing says something."""
    return max(min(TOP, len(comparison[0].players) // 2), 1)


def places(comparison: Comparison, row: int) -> list[list[str]]:
    """Returns for each result and player `#1` and so on if it is in the top and scores above 0, else ""."""
    size, ranks, scores = top_size(comparison), comparison.ranks(row), comparison.scores(row)
    return [
        [f"#{rank}" if rank <= size and score > 0 else "" for rank, score in zip(*pair, strict=True)]
        for pair in zip(ranks.tolist(), scores.tolist(), strict=True)
    ]


def standing(comparison: Comparison, row: int) -> list[int]:
    """Returns the players that score at all, those that stand highest in any result first, of either sign.

    Places count before scores: of a nearly uniform result no more players come first than of the others.
    """
    sizes = np.abs(comparison.scores(row))
    most = sizes.max(axis=1, keepdims=True, initial=0.0)
    parts = np.divide(sizes, most, out=np.zeros_like(sizes), where=most > 0)
    places = (sizes[:, None, :] > sizes[:, :, None]).sum(axis=2).min(axis=0)
    order = np.lexsort((-parts.max(axis=0, initial=0.0), places))
    return [j for j in order.tolist() if sizes[:, j].any()]


def overlap(comparison: Comparison) -> str:
    """Returns what the table of overlaps means, with what chance alone would give."""
    size, players = top_size(comparison), len(comparison[0].players)
    return (
        f"Players of the top {size} that two results share; two unrelated orders of {counted(players, 'player')} "
        f"would share {_count(size * size / players)}."
    )


def correlations(comparison: Comparison, row: int) -> list[list[str]]:
    """Returns the matrix of rank correlations as text."""
    return [[_correlation(value) for value in line] for line in comparison.rank_correlation(row).tolist()]


def overlaps(comparison: Comparison, row: int) -> list[list[str]]:
    """Returns the matrix of overlaps as text: `3/5`."""
    size = top_size(comparison)
    shared: NDArray[np.float64] = comparison.top_overlap(size, row)
    return [[f"{_count(part * size)}/{size}" for part in line] for line in shared.tolist()]


def agreement(comparison: Comparison, row: int) -> str:
    """Returns in one sentence how two results agree."""
    found, size = correlations(comparison, row)[0][1], top_size(comparison)
    how = "undefined, as one gives every player the same score" if found == "–" else found
    shared = overlaps(comparison, row)[0][1].removesuffix(f"/{size}")
    return (
        f"Rank correlation (Spearman) {how}; {shared} of the top {size} shared, "
        f"{_count(size * size / len(comparison[0].players))} by chance."
    )


def pairs(comparison: Comparison, most: int) -> Iterator[tuple[int, int]]:
    """Yields pairs of results: all if they are at most `most`, else those with the first result."""
    every = [(a, b) for a in range(len(comparison)) for b in range(a + 1, len(comparison))]
    yield from every if len(every) <= most else [pair for pair in every if pair[0] == 0]


def _correlation(value: float) -> str:
    if value != value:
        return "–"
    return f"{value:.0f}" if value in (-1, 0, 1) else f"{value:.2f}"


def _count(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
