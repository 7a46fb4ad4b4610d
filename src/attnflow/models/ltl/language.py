"""The language of the model `ltl`: linear temporal logic in Polish notation, and traces that satisfy it.

A formula is a list of tokens, operators before their operands: `U a & b X c` is a U (b and X c). A trace is
infinite; an answer gives one as a lasso, `{a} {} loop {bc}`: first the states before the loop, then, after
`loop`, the states that repeat for ever. A state names the propositions that are true in it. The answer is
right if the formula holds at the trace's first state (Pnueli 1977, "The temporal logic of programs").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attnflow.errors import InputError

PROPOSITIONS = ("a", "b", "c")
#: Operators and their numbers of operands: not, next, eventually, always, and, or, implies, until.
OPERATORS = {"!": 1, "X": 1, "F": 1, "G": 1, "&": 2, "|": 2, "->": 2, "U": 2}
LOOP = "loop"
#: States, those with few true propositions first: the order in which the search for an answer tries them.
STATES = ("{}", "{a}", "{b}", "{c}", "{ab}", "{ac}", "{bc}", "{abc}")

TOKEN = re.compile(r"loop|->|\{[abc]*\}|\S")


@dataclass(frozen=True)
class Lasso:
    """An infinite trace: some states, then others that repeat for ever.

    Attributes:
        prefix: the propositions true in each state before the loop.
        loop: the propositions true in each state of the loop, at least one state.
    """

    prefix: tuple[frozenset[str], ...]
    loop: tuple[frozenset[str], ...]

    @property
    def states(self) -> tuple[frozenset[str], ...]:
        """The states, prefix then loop."""
        return self.prefix + self.loop

    def next(self, position: int) -> int:
        """The position after `position`."""
        return position + 1 if position + 1 < len(self.states) else len(self.prefix)


def tokens(formula: str) -> list[str]:
    """Splits a formula in Polish notation into tokens; spaces may be left out.

    Args:
        formula: such as `U a & b X c`.

    Returns:
        Its tokens.

    Raises:
        InputError: it is not one whole formula in Polish notation.
    """
    found = TOKEN.findall(formula)
    subtrees(found)
    return found


def subtrees(formula: Sequence[str]) -> list[tuple[int, int]]:
    """Where each position's subformula starts and ends.

    Args:
        formula: tokens in Polish notation.

    Returns:
        For each position, itself and the position after its subformula's last token.

    Raises:
        InputError: it is not one whole formula in Polish notation.
    """
    spans: list[tuple[int, int]] = [(0, 0)] * len(formula)
    stack: list[int] = []
    for position in range(len(formula) - 1, -1, -1):
        token = formula[position]
        if token in PROPOSITIONS:
            stack.append(position + 1)
        elif token in OPERATORS:
            if len(stack) < OPERATORS[token]:
                raise InputError(
                    f"Operator {token!r} at position {position} of {' '.join(formula)!r} lacks an operand: expected "
                    "Polish notation, operators before their operands, such as 'U a & b X c'."
                )
            for _ in range(OPERATORS[token]):
                end = stack.pop()
            stack.append(end)
        else:
            raise InputError(
                f"{token!r} in a formula: expected propositions {' '.join(PROPOSITIONS)} and operators "
                f"{' '.join(OPERATORS)}, in Polish notation."
            )
        spans[position] = (position, stack[-1])
    if len(stack) != 1:
        raise InputError(
            f"{' '.join(formula)!r} is {len(stack)} formulas in a row: expected one, in Polish notation, operators "
            "before their operands, such as 'U a & b X c'."
        )
    return spans


def lasso(answer: Sequence[str]) -> Lasso:
    """The trace that an answer spells out.

    Args:
        answer: states, `loop`, and at least one more state.

    Returns:
        The lasso.

    Raises:
        InputError: it is not of that form.
    """
    if answer.count(LOOP) != 1 or answer[-1] == LOOP:
        raise InputError(
            f"{' '.join(answer)!r} is no trace: expected states, {LOOP!r} once, and at least one state."
        )
    wrong = [token for token in answer if token not in STATES and token != LOOP]
    if wrong:
        raise InputError(f"{wrong[0]!r} in a trace: expected states such as '{{}}' or '{{ab}}'.")
    at = list(answer).index(LOOP)
    states = [frozenset(token.strip("{}")) for token in answer if token != LOOP]
    return Lasso(tuple(states[:at]), tuple(states[at:]))


def values(formula: Sequence[str], trace: Lasso) -> list[list[bool]]:
    """Where on a trace each subformula holds.

    Until is the least solution of `p U q = q or (p and X (p U q))`: it is built from false by as many rounds
    as there are states, after which nothing changes any more.

    Args:
        formula: tokens in Polish notation.
        trace: a lasso.

    Returns:
        For each position of the formula, the truth of its subformula at each of the lasso's states.

    Raises:
        InputError: it is not one whole formula.
    """
    subtrees(formula)
    count = len(trace.states)
    after = [trace.next(at) for at in range(count)]

    def until(p: list[bool], q: list[bool]) -> list[bool]:
        holds = [False] * count
        for _ in range(count):
            holds = [q[at] or (p[at] and holds[after[at]]) for at in range(count)]
        return holds

    found: list[list[bool]] = [[]] * len(formula)
    stack: list[list[bool]] = []
    for position in range(len(formula) - 1, -1, -1):
        token = formula[position]
        if token in PROPOSITIONS:
            value = [token in state for state in trace.states]
        elif OPERATORS[token] == 1:
            p = stack.pop()
            if token == "!":
                value = [not holds for holds in p]
            elif token == "X":
                value = [p[after[at]] for at in range(count)]
            elif token == "F":
                value = until([True] * count, p)
            else:
                value = [not holds for holds in until([True] * count, [not holds for holds in p])]
        else:
            p, q = stack.pop(), stack.pop()
            if token == "&":
                value = [x and y for x, y in zip(p, q)]
            elif token == "|":
                value = [x or y for x, y in zip(p, q)]
            elif token == "->":
                value = [not x or y for x, y in zip(p, q)]
            else:
                value = until(p, q)
        found[position] = value
        stack.append(value)
    return found


def satisfies(answer: Sequence[str], formula: Sequence[str]) -> bool:
    """Whether an answer is a trace at whose first state a formula holds.

    Args:
        answer: tokens; anything but one lasso is wrong.
        formula: tokens in Polish notation.

    Returns:
        True or False.

    Raises:
        InputError: the formula is not one.
    """
    subtrees(formula)
    try:
        trace = lasso(answer)
    except InputError:
        return False
    return values(formula, trace)[0][0]
