"""Molecules, what ANNalog makes of them, and which tokens of the two are the same.

The model was trained to write a molecule close to the one it reads, and mostly copies. Decoding is greedy. Output
tokens are aligned with input tokens by their longest common subsequence. Where there are several, a link on every one
of them is sure; where a repeated token could have come from either of two places, its links are merely possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from experiments.reactions import made


@dataclass(frozen=True)
class Copy:
    """A molecule and the one that the model wrote.

    Attributes:
        source: token ids with start and end.
        written: token ids with the start and without the end.
        sure: links `(source position, output token)` on every longest common subsequence; output token i is decided
            by the decoder's position i.
        possible: links on some longest common subsequence.
    """

    source: tuple[int, ...]
    written: tuple[int, ...]
    sure: frozenset[tuple[int, int]]
    possible: frozenset[tuple[int, int]]


def molecules(count: int, seed: int) -> list[str]:
    """Different molecules: the products of so many made reactions, repeated ones left out."""
    return list(dict.fromkeys(one.text.split(">>")[1] for one in made.reactions(count, seed)))


def copy(model: Any, source: Sequence[int], *, start: int, end: int, longest: int = 60) -> Copy | None:
    """What the model writes greedily, or None if it does not come to an end."""
    ids, written = torch.tensor([list(source)]), [start]
    with torch.no_grad():
        states = model.get_encoder()(input_ids=ids).last_hidden_state
        while len(written) <= longest:
            logits = model(encoder_outputs=(states,), decoder_input_ids=torch.tensor([written])).logits
            chosen = int(logits[0, -1].argmax())
            if chosen == end:
                sure, possible = links(source[1:-1], written[1:])
                shifted = [frozenset((a + 1, b) for a, b in found) for found in (sure, possible)]
                return Copy(tuple(source), tuple(written), *shifted)
            written.append(chosen)
    return None


Links = set[tuple[int, int]]


def links(first: Sequence[int], second: Sequence[int]) -> tuple[Links, Links]:
    """Pairs of equal tokens that stand on every, and on some, longest common subsequence."""
    before = _lengths(first, second)
    after = _lengths(first[::-1], second[::-1])[::-1, ::-1]
    longest = before[-1, -1]
    possible = {
        (i, j)
        for i, a in enumerate(first)
        for j, b in enumerate(second)
        if a == b and before[i, j] + 1 + after[i + 1, j + 1] == longest
    }
    ranks: dict[int, Links] = {}
    for i, j in possible:
        ranks.setdefault(int(before[i, j]), set()).add((i, j))
    return {pair for pairs in ranks.values() if len(pairs) == 1 for pair in pairs}, possible


def _lengths(first: Sequence[int], second: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Length of the longest common subsequence of every pair of beginnings."""
    found = np.zeros((len(first) + 1, len(second) + 1), np.int64)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            found[i + 1, j + 1] = found[i, j] + 1 if a == b else max(found[i, j + 1], found[i + 1, j])
    return found
