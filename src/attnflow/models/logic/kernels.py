"""Compiled loops behind `formulas`: random formulas, their truth tables, parts and answers."""

from __future__ import annotations

import numpy as np
from numba import njit

from attnflow.models.logic.language import (
    COLUMNS,
    FULL,
    LITERALS,
    OPERATORS,
    VARIABLES,
    assignments,
)
from attnflow.models.splitmix import draw, mix

PARTS = ("train", "string", "function")
SYMBOLS = (*VARIABLES, *OPERATORS)
LONGEST = len(VARIABLES)  # literals of an answer

_NEGATION = SYMBOLS.index("!")
_CUBES = np.array([cube for _, cube in assignments()], dtype=np.uint32)
_ANSWERS = np.full((len(_CUBES), LONGEST), -1, dtype=np.int8)
for _row, (_literals, _) in enumerate(assignments()):
    _ANSWERS[_row, : len(_literals)] = [LITERALS.index(literal) for literal in _literals]
_COLUMNS = np.array(COLUMNS, dtype=np.uint32)
_FULL = np.uint32(FULL)
_HELD_OUT = 5  # percent of the functions, and of the strings


@njit(cache=True)
def is_function_held_out(truth):
    """Whether a truth table is one that training never asks about.

    Args:
        truth: uint32.

    Returns:
        A boolean.
    """
    return mix(np.uint64(truth) + np.uint64(0x5EED)) % np.uint64(100) < _HELD_OUT


@njit(cache=True)
def _part(row, truth):
    if is_function_held_out(truth):
        return 2
    key = np.uint64(len(row))
    for token in row:
        key = mix(key * np.uint64(31) + np.uint64(token) + np.uint64(1))
    return 1 if key % np.uint64(100) < _HELD_OUT else 0


@njit(cache=True)
def fill(tokens, tables, answers, part, seed):
    """Draws formulas that are neither valid nor unsatisfiable.

    Args:
        tokens: filled with indices into SYMBOLS, uint8 [formulas, nodes].
        tables: filled with the subformulas' truth tables, uint32 [formulas, nodes].
        answers: filled with indices into LITERALS, int8 [formulas, 5]; -1 before.
        part: index into PARTS.
        seed: settles all.

    Returns:
        How many were found.
    """
    count, nodes = tokens.shape
    state = np.zeros(1, np.uint64)
    state[0] = mix(np.uint64(seed))
    sizes = np.zeros(nodes + 2, np.int64)
    stack = np.zeros(nodes + 2, np.uint32)
    made = 0
    for _ in range(1000 * count + 1_000_000):
        if made == count:
            break
        row, table = tokens[made], tables[made]
        waiting, at = 1, 0
        sizes[0] = nodes
        while waiting:
            waiting -= 1
            size = sizes[waiting]
            if size == 1:
                row[at] = draw(state, len(_COLUMNS))
            elif size == 2 or draw(state, 5) == 0:
                row[at] = _NEGATION
                sizes[waiting] = size - 1
                waiting += 1
            else:
                row[at] = _NEGATION + 1 + draw(state, 4)
                left = 1 + draw(state, size - 2)
                sizes[waiting] = size - 1 - left
                sizes[waiting + 1] = left
                waiting += 2
            at += 1
        top = 0
        for at in range(nodes - 1, -1, -1):
            kind = np.int64(row[at]) - _NEGATION
            if kind < 0:
                stack[top] = _COLUMNS[row[at]]
                top += 1
            elif kind == 0:
                stack[top - 1] ^= _FULL
            else:
                x, y = stack[top - 1], stack[top - 2]
                top -= 1
                if kind == 1:
                    stack[top - 1] = x & y
                elif kind == 2:
                    stack[top - 1] = x | y
                elif kind == 3:
                    stack[top - 1] = x ^ y
                else:
                    stack[top - 1] = x ^ y ^ _FULL
            table[at] = stack[top - 1]
        truth = table[0]
        if truth == 0 or truth == _FULL or _part(row, truth) != part:
            continue
        for choice in range(len(_CUBES)):
            if _CUBES[choice] & (truth ^ _FULL) == 0:
                answers[made] = _ANSWERS[choice]
                break
        made += 1
    return made


@njit(cache=True)
def held_out(tables, found):
    """Marks truth tables that are held out.

    Args:
        tables: uint32, one axis.
        found: filled, bool, as long.
    """
    for at in range(len(tables)):
        found[at] = is_function_held_out(tables[at])
