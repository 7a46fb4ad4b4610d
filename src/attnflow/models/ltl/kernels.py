"""Compiled loops behind `formulas`: random formulas, their values on many lassos at once, parts and answers.

All lassos of `k` states whose loop starts at state `s` are one bit each of a bit vector: 8^k bits, the first state's
letter counting most. A subformula is evaluated on all of them at once, one vector for each of the k states.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from attnflow.models.ltl.language import OPERATORS, PROPOSITIONS, STATES
from attnflow.models.splitmix import draw, mix

PARTS = ("train", "string", "meaning")
STATES_AT_MOST = 5  # of an answer
SYMBOLS = (*PROPOSITIONS, *OPERATORS)
PROBED = 8  # random lassos of 4 states for each start of the loop, whose values training asks for
BITS = 4 * 4 * PROBED

_HELD_OUT = 5  # percent of the meanings, and of the strings
_FIRST_OPERATOR = len(PROPOSITIONS)
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def _letters() -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Where each proposition is true: uint64 [states k - 1, state, proposition, words]."""
    words = 8**STATES_AT_MOST // 64
    made = np.zeros((STATES_AT_MOST, STATES_AT_MOST, len(PROPOSITIONS), words), np.uint64)
    true = np.array([[p in state for state in STATES] for p in PROPOSITIONS])
    for k in range(1, STATES_AT_MOST + 1):
        lassos = np.arange(8**k)
        for state in range(k):
            letter = lassos // 8 ** (k - 1 - state) % 8
            for p in range(len(PROPOSITIONS)):
                bits = np.zeros(max(64, 8**k), np.uint8)
                bits[: 8**k] = true[p, letter]
                packed = np.packbits(bits, bitorder="little").view(np.uint64)
                made[k - 1, state, p, : len(packed)] = packed
    return made


_LETTERS = _letters()
_PROBES = np.random.default_rng(2022).integers(0, 8**4, (4, PROBED))


_LETTERS = _letters()
_PROBES = np.random.default_rng(2022).integers(0, 8**4, (4, PROBED))


@njit(cache=True)
def _until(p, q, k, start, words):
    """Least solution, in place of q: two rounds from the back, the second for what runs round the loop."""
    for turn in range(2):
        for at in range(k - 1, -1, -1):
            after = at + 1 if at + 1 < k else start
            if turn == 0 and at == k - 1:
                continue
            for w in range(words):
                q[at, w] |= p[at, w] & q[after, w]


@njit(cache=True)
def _evaluate(row, k, start, values):
    """Values of every subformula on all lassos of k states with the loop at `start`: values [nodes, k, words]."""
    words = max(1, 8**k // 64)
    nodes = len(row)
    stack = np.zeros(nodes + 1, np.int64)
    ones = np.full((k, words), _ALL)
    top = 0
    for node in range(nodes - 1, -1, -1):
        kind = np.int64(row[node]) - _FIRST_OPERATOR
        out = values[node]
        if kind < 0:
            for at in range(k):
                for w in range(words):
                    out[at, w] = _LETTERS[k - 1, at, row[node], w]
            stack[top] = node
            top += 1
            continue
        x = values[stack[top - 1]]
        if kind >= 4:
            y = values[stack[top - 2]]
            top -= 1
        else:
            y = x
        stack[top - 1] = node
        for at in range(k):
            after = at + 1 if at + 1 < k else start
            for w in range(words):
                if kind == 0:
                    out[at, w] = ~x[at, w]
                elif kind == 1:
                    out[at, w] = x[after, w]
                elif kind == 2:
                    out[at, w] = x[at, w]
                elif kind == 3:
                    out[at, w] = ~x[at, w]
                elif kind == 4:
                    out[at, w] = x[at, w] & y[at, w]
                elif kind == 5:
                    out[at, w] = x[at, w] | y[at, w]
                elif kind == 6:
                    out[at, w] = ~x[at, w] | y[at, w]
                else:
                    out[at, w] = y[at, w]
        if kind == 2 or kind == 3:
            _until(ones, out, k, start, words)
        elif kind == 7:
            _until(x, out, k, start, words)
        if kind == 3:
            for at in range(k):
                for w in range(words):
                    out[at, w] = ~out[at, w]


@njit(cache=True)
def _first(vector, words, lassos):
    """The index of the first bit that is set, or -1."""
    for w in range(words):
        word = vector[w]
        if word != 0:
            for bit in range(64):
                if word >> np.uint64(bit) & np.uint64(1):
                    return 64 * w + bit if 64 * w + bit < lassos else -1
    return -1


@njit(cache=True)
def _random_formula(row, state, sizes):
    waiting, at = 1, 0
    sizes[0] = len(row)
    while waiting:
        waiting -= 1
        size = sizes[waiting]
        if size == 1:
            row[at] = draw(state, _FIRST_OPERATOR)
        elif size == 2 or draw(state, 10) < 4:
            row[at] = _FIRST_OPERATOR + draw(state, 4)
            sizes[waiting] = size - 1
            waiting += 1
        else:
            kind = draw(state, 6)  # until, twice as often as or; and, twice as often as implies
            row[at] = _FIRST_OPERATOR + (7 if kind >= 4 else 4 if kind < 2 else kind + 3)
            left = 1 + draw(state, size - 2)
            sizes[waiting] = size - 1 - left
            sizes[waiting + 1] = left
            waiting += 2
        at += 1


@njit(cache=True)
def _held_out(values, held):
    """Hashes each subformula's values on all lassos of three states: values [starts, nodes, k, words]."""
    for node in range(len(held)):
        key = np.uint64(0)
        for start in range(3):
            for w in range(8):
                key = mix(key * np.uint64(31) + values[start, node, 0, w])
        held[node] = key % np.uint64(100) < _HELD_OUT


@njit(cache=True)
def fill(tokens, bits, known, answers, part, seed, keep):
    """Draws formulas that a lasso of at most five states satisfies.

    Args:
        tokens: filled with indices into SYMBOLS, uint8 [formulas, nodes].
        bits: filled with the subformulas' values at the states of some lassos, uint8 [formulas, nodes, BITS].
        known: filled with whether the subformula's meaning is not held out, bool [formulas, nodes].
        answers: filled with indices into the states and `loop`, int8 [formulas, 6].
        part: index into PARTS.
        seed: settles all.
        keep: of 1000 formulas that need so many states, how many to keep.

    Returns:
        How many were found.
    """
    count, nodes = tokens.shape
    state = np.zeros(1, np.uint64)
    state[0] = mix(np.uint64(seed))
    sizes = np.zeros(nodes + 2, np.int64)
    three = np.zeros((3, nodes, 3, 8), np.uint64)
    four = np.zeros((4, nodes, 4, 64), np.uint64)
    most = np.zeros((nodes, STATES_AT_MOST, 8**STATES_AT_MOST // 64), np.uint64)
    held = np.zeros(nodes, np.bool_)
    made = 0
    for _ in range(200 * count + 200_000):
        if made == count:
            break
        row = tokens[made]
        _random_formula(row, state, sizes)
        for start in range(3):
            _evaluate(row, 3, start, three[start])
        _held_out(three, held)
        key = np.uint64(nodes)
        for token in row:
            key = mix(key * np.uint64(31) + np.uint64(token) + np.uint64(1))
        found = 2 if held[0] else 1 if key % np.uint64(100) < _HELD_OUT else 0
        if found != part:
            continue
        lasso, length, loop = -1, 0, 0
        for k in range(1, STATES_AT_MOST + 1):
            for start in range(k - 1, -1, -1):
                values = most if k != 4 else four[start]
                _evaluate(row, k, start, values)
                lasso = _first(values[0, 0], max(1, 8**k // 64), 8**k)
                if lasso >= 0:
                    length, loop = k, start
                    break
            if lasso >= 0:
                break
        if lasso < 0 or draw(state, 1000) >= keep[length]:
            continue
        for at in range(STATES_AT_MOST + 1):
            answers[made, at] = -1
        for at in range(length):
            answers[made, at + (at >= loop)] = lasso // 8 ** (length - 1 - at) % 8
        answers[made, loop] = 8
        for start in range(4):
            _evaluate(row, 4, start, four[start])
            for probe in range(PROBED):
                w, bit = _PROBES[start, probe] // 64, np.uint64(_PROBES[start, probe] % 64)
                for node in range(nodes):
                    for at in range(4):
                        place = (start * PROBED + probe) * 4 + at
                        bits[made, node, place] = four[start, node, at, w] >> bit & np.uint64(1)
        for node in range(nodes):
            known[made, node] = not held[node]
        made += 1
    return made
