"""What an answer to a formula rests on, settled without the model.

A change of a formula's token is one of three: another token of as many operands in its place, a negation set before it,
or, if it takes one operand, leaving it out. Three truths follow.

- *verdict*: tokens of which some change makes the answer wrong. It is the same for every token of the answer.
- *token*: tokens of which some change makes the answer wrong and another word in the place of one token of the answer
  alone makes it right again. It belongs to that token.
- *variables*: places of the variables that a token of the answer depends on. In `logic` a literal depends on its own
  variable and on each whose value, changed alone, decides whether the literal's matters, all else as the answer has it.
  In `ltl` a state depends on the propositions that, changed in it alone, make the trace wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from attnflow.models.logic import language as logic
from attnflow.models.ltl import language as ltl

Words = tuple[str, ...]
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Judge:
    """What is right in a task.

    Attributes:
        right: whether an answer is right for a formula.
        letters: variables or propositions.
        operands: by token, of a formula.
        answers: words that an answer may have.
        rests: from formula, answer and place in it to the letters which that token depends on; None where no
            letter is meant.
    """

    right: Callable[[Words, Words], bool]
    letters: Words
    operands: Mapping[str, int]
    answers: Words
    rests: Callable[[Words, Words, int], frozenset[str] | None]


def changes(formula: Words, at: int, operands: Mapping[str, int]) -> Iterator[Words]:
    """The formulas that change one token.

    Args:
        formula: tokens in Polish notation.
        at: place of the token.
        operands: number of operands of every token.
    """
    before, token, after = formula[:at], formula[at], formula[at + 1 :]
    for other, count in operands.items():
        if count == operands[token] and other != token:
            yield (*before, other, *after)
    yield (*before, "!", token, *after)
    if operands[token] == 1:
        yield (*before, *after)


def verdict(judge: Judge, formula: Words, answer: Words) -> Truth:
    """Tokens of which some change makes the answer wrong, bool [tokens]."""
    return np.array([bool(broken) for broken in _broken(judge, formula, answer)])


def of_token(judge: Judge, formula: Words, answer: Words, place: int) -> Truth:
    """Tokens of which some change makes one token of the answer alone wrong, bool [tokens]."""
    mended = [
        (*answer[:place], word, *answer[place + 1 :]) for word in judge.answers if word != answer[place]
    ]
    return np.array(
        [
            any(judge.right(other, changed) for changed in broken for other in mended)
            for broken in _broken(judge, formula, answer)
        ]
    )


def variables(judge: Judge, formula: Words, answer: Words, place: int) -> Truth | None:
    """Of the places of letters, those of letters that one token of the answer depends on.

    Returns:
        Bool [letters' places], in order; None for a token that is about no letter.
    """
    rests = judge.rests(formula, answer, place)
    if rests is None:
        return None
    return np.array([token in rests for token in formula if token in judge.letters])


def _broken(judge: Judge, formula: Words, answer: Words) -> list[list[Words]]:
    """Per token, its changes that make the answer wrong."""
    return [
        [changed for changed in changes(formula, at, judge.operands) if not judge.right(answer, changed)]
        for at in range(len(formula))
    ]


@cache
def _proved(answer: Words, formula: Words) -> bool:
    return logic.prove(formula, answer)


@cache
def _holds(answer: Words, formula: Words) -> bool:
    return ltl.satisfies(answer, formula)


def _of_literal(formula: Words, answer: Words, place: int) -> frozenset[str]:
    """Variables that decide whether a literal's matters, its own among them."""
    assigned = logic.literals(answer)
    own = answer[place].split("=")[0]
    truth = logic.table(formula)

    def holds(values: Mapping[str, int]) -> bool:
        return bool(truth >> sum(values[v] << at for at, v in enumerate(logic.VARIABLES)) & 1)

    free = [v for v in logic.VARIABLES if v not in assigned]
    found = {own}
    for chosen in itertools.product((0, 1), repeat=len(free)):
        values = {**assigned, **dict(zip(free, chosen))}
        matters = holds(values | {own: 0}) != holds(values | {own: 1})
        for other in logic.VARIABLES:
            flipped = values | {other: 1 - values[other]}
            if other != own and matters != (holds(flipped | {own: 0}) != holds(flipped | {own: 1})):
                found.add(other)
    return frozenset(found)


def _of_state(formula: Words, answer: Words, place: int) -> frozenset[str] | None:
    """Propositions that, changed in one state, make the trace wrong; None for `loop`."""
    if answer[place] == ltl.LOOP:
        return None
    true = frozenset(answer[place].strip("{}"))
    found = set()
    for proposition in ltl.PROPOSITIONS:
        other = "{" + "".join(sorted(true ^ {proposition})) + "}"
        if not _holds((*answer[:place], other, *answer[place + 1 :]), formula):
            found.add(proposition)
    return frozenset(found)


def _operands(language: ModuleType, letters: Sequence[str]) -> dict[str, int]:
    return dict.fromkeys(letters, 0) | dict(language.OPERATORS)


JUDGES = {
    "logic": Judge(_proved, logic.VARIABLES, _operands(logic, logic.VARIABLES), logic.LITERALS, _of_literal),
    "ltl": Judge(
        _holds, ltl.PROPOSITIONS, _operands(ltl, ltl.PROPOSITIONS), (*ltl.STATES, ltl.LOOP), _of_state
    ),
}
