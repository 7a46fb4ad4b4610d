"""Random formulas, each with the shortest lasso that satisfies it, by exhaustive search many lassos at a time.

All lassos of `k` states whose loop starts at state `s` are one bit each of a bit vector: 8^k bits, the first state's
letter counting most. A subformula is evaluated on all of them at once, one vector for each of the k
states. The first bit that is set names the answer: fewest states first, then the shortest loop, then the letters in
the order of `STATES`.

A formula belongs to one of three parts, settled by hashes: its meaning is held out ("meaning"), or else
its string is ("string"), or it is for training ("train"). Its meaning is taken by its values on every lasso of up to
three states: formulas that mean the same agree there, so one that is held out is never asked about in
training, under any spelling, though it may be part of a larger formula. Formulas that need more than three states all
agree there too, and are all held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attnflow.models.answering import Vocabulary
from attnflow.models.ltl import kernels
from attnflow.models.ltl.kernels import BITS, PARTS, STATES_AT_MOST, SYMBOLS
from attnflow.models.ltl.language import LOOP, STATES

LARGEST = 12  # nodes
FIELDS = ("tokens", "bits", "known", "answers")
WORDS = (*STATES, LOOP)  # of an answer
VOCABULARY = Vocabulary(SYMBOLS, WORDS)
#: Of 1000 formulas whose shortest lasso has so many states, how many are kept (index 0 unused).
KEPT = (0, 30, 1000, 1000, 1000, 1000)


@dataclass(frozen=True)
class Formulas:
    """Formulas of one size.

    Attributes:
        tokens: indices into `SYMBOLS`, uint8 [formulas, nodes].
        bits: whether the subformula at each position holds at each state of some lassos, uint8 [formulas, nodes,
            BITS].
        known: whether the subformula's meaning is not held out, bool [formulas, nodes].
        answers: indices into `WORDS`, -1 after the last, int8 [formulas, 6].
    """

    tokens: np.ndarray[Any, np.dtype[np.uint8]]
    bits: np.ndarray[Any, np.dtype[np.uint8]]
    known: np.ndarray[Any, np.dtype[np.bool_]]
    answers: np.ndarray[Any, np.dtype[np.int8]]

    def texts(self) -> list[list[str]]:
        """The formulas as lists of tokens."""
        return [[SYMBOLS[token] for token in row] for row in self.tokens]


def draw(nodes: int, count: int, part: str, seed: int) -> Formulas:
    """Draws random formulas that a lasso of at most five states satisfies.

    Only three in a hundred of those are kept for which one state, repeated for ever, is enough: else they would be
    nearly all.

    Args:
        nodes: of each formula, 1 to 12.
        count: how many; they may repeat. Fewer come back if hardly any of that size are in that part.
        part: "train", "string" or "meaning".
        seed: settles all.

    Returns:
        The formulas.
    """
    tokens = np.zeros((count, nodes), np.uint8)
    bits = np.zeros((count, nodes, BITS), np.uint8)
    known = np.zeros((count, nodes), bool)
    answers = np.full((count, STATES_AT_MOST + 1), -1, np.int8)
    found = kernels.fill(tokens, bits, known, answers, PARTS.index(part), seed, np.array(KEPT))
    return Formulas(tokens[:found], bits[:found], known[:found], answers[:found])


def distinct(nodes: int, count: int, part: str, seed: int) -> Formulas:
    """Draws different formulas: `count` of them, or fewer once a draw of as many hardly finds new ones.

    Args:
        nodes: of each formula.
        count: at most.
        part: "train", "string" or "meaning".
        seed: settles all.

    Returns:
        The formulas, in the order drawn.
    """
    found = draw(nodes, 0, part, seed)
    for turn in range(20):
        more = draw(nodes, count, part, 1000 * seed + turn)
        columns = [np.concatenate([getattr(found, name), getattr(more, name)]) for name in FIELDS]
        _, first = np.unique(columns[0], axis=0, return_index=True)
        kept = np.sort(first)[:count]
        new = len(kept) - len(found.tokens)
        found = Formulas(*(column[kept] for column in columns))
        if len(kept) == count or new < count / 20:
            break
    return found
