"""Random formulas by the million, each with its answer and the truth tables of its subformulas.

A formula belongs to one of three parts, settled by hashes, so that no list has to be kept: its truth
table is held out ("function"), or else its string is ("string"), or it is for training ("train"). A function
that is held out is never asked about in training, under any spelling, though it may be part of a larger formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attnflow.models.answering import Vocabulary
from attnflow.models.logic import kernels
from attnflow.models.logic.kernels import LONGEST, PARTS, SYMBOLS
from attnflow.models.logic.language import LITERALS

LARGEST = 12  # nodes
FIELDS = ("tokens", "tables", "answers")
VOCABULARY = Vocabulary(SYMBOLS, LITERALS)


@dataclass(frozen=True)
class Formulas:
    """Formulas of one size.

    Attributes:
        tokens: indices into `SYMBOLS`, uint8 [formulas, nodes].
        tables: truth table of the subformula at each position, uint32 [formulas, nodes].
        answers: indices into `LITERALS`, -1 after the last, int8 [formulas, 5].
    """

    tokens: np.ndarray[Any, np.dtype[np.uint8]]
    tables: np.ndarray[Any, np.dtype[np.uint32]]
    answers: np.ndarray[Any, np.dtype[np.int8]]

    def texts(self) -> list[list[str]]:
        """The formulas as lists of tokens."""
        return [[SYMBOLS[token] for token in row] for row in self.tokens]


def draw(nodes: int, count: int, part: str, seed: int) -> Formulas:
    """Draws random formulas that are neither valid nor unsatisfiable.

    A node is a negation with probability 1/5 and else one of the four binary operators, the sizes of its operands
    uniform.

    Args:
        nodes: of each formula, 1 to 12.
        count: how many; they may repeat. Fewer come back if hardly any of that size are in that part.
        part: "train", "string" or "function".
        seed: settles all.

    Returns:
        The formulas.
    """
    made = Formulas(
        np.zeros((count, nodes), np.uint8),
        np.zeros((count, nodes), np.uint32),
        np.full((count, LONGEST), -1, np.int8),
    )
    found = kernels.fill(made.tokens, made.tables, made.answers, PARTS.index(part), seed)
    return Formulas(made.tokens[:found], made.tables[:found], made.answers[:found])


def distinct(nodes: int, count: int, part: str, seed: int) -> Formulas:
    """Draws different formulas: `count` of them, or fewer once a draw of as many hardly finds new ones.

    Args:
        nodes: of each formula.
        count: at most.
        part: "train", "string" or "function".
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


def held_out(tables: np.ndarray[Any, np.dtype[np.uint32]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of many truth tables are of functions that are held out; same shape, bool."""
    found = np.zeros(tables.size, bool)
    kernels.held_out(tables.ravel(), found)
    return found.reshape(tables.shape)
