"""The language of the model `logic`: propositional formulas in Polish notation, and what an answer means.

A formula is a list of tokens, operators before their operands: `& a | b ! c` is a and (b or not c). Its truth
table is an integer of 32 bits, one for each total assignment of the five variables: bit `i` tells whether
the formula holds where variable `v` has the value of bit `v` of `i`. An answer is a partial assignment, a
list of literals such as `a=1 c=0`, variables in alphabetical order. It is right if every completion of it makes
the formula true.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import cache

from attnflow.errors import InputError

VARIABLES = ("a", "b", "c", "d", "e")
#: Operators and their numbers of operands: not, and, or, exclusive or, if and only if.
OPERATORS = {"!": 1, "&": 2, "|": 2, "^": 2, "<->": 2}
LITERALS = tuple(f"{variable}={value}" for variable in VARIABLES for value in (1, 0))
ROWS = 1 << len(VARIABLES)
FULL = (1 << ROWS) - 1
#: Truth table of each variable.
COLUMNS = tuple(sum(1 << row for row in range(ROWS) if row >> v & 1) for v in range(len(VARIABLES)))

TOKEN = re.compile(r"<->|[a-e]=[01]|\S")


def tokens(formula: str) -> list[str]:
    """Splits a formula in Polish notation into tokens; spaces may be left out.

    Args:
        formula: such as `& a | b ! c`.

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
    stack: list[int] = []  # ends of the subformulas to the right that no operator has taken yet
    for position in range(len(formula) - 1, -1, -1):
        token = formula[position]
        if token in VARIABLES:
            stack.append(position + 1)
        elif token in OPERATORS:
            if len(stack) < OPERATORS[token]:
                raise InputError(
                    f"Operator {token!r} at position {position} of {' '.join(formula)!r} lacks an operand: expected "
                    "Polish notation, operators before their operands, such as '& a | b ! c'."
                )
            for _ in range(OPERATORS[token]):
                end = stack.pop()
            stack.append(end)
        else:
            raise InputError(
                f"{token!r} in a formula: expected variables {' '.join(VARIABLES)} and operators "
                f"{' '.join(OPERATORS)}, in Polish notation."
            )
        spans[position] = (position, stack[-1])
    if len(stack) != 1:
        raise InputError(
            f"{' '.join(formula)!r} is {len(stack)} formulas in a row: expected one, in Polish notation, operators "
            "before their operands, such as '& a | b ! c'."
        )
    return spans


def tables(formula: Sequence[str]) -> list[int]:
    """The truth table of the subformula at each position.

    Args:
        formula: tokens in Polish notation.

    Returns:
        Integers of 32 bits; the first is the whole formula's.

    Raises:
        InputError: it is not one whole formula.
    """
    subtrees(formula)
    found = [0] * len(formula)
    stack: list[int] = []
    for position in range(len(formula) - 1, -1, -1):
        token = formula[position]
        if token in VARIABLES:
            value = COLUMNS[VARIABLES.index(token)]
        elif token == "!":
            value = FULL ^ stack.pop()
        else:
            left, right = stack.pop(), stack.pop()
            value = {
                "&": left & right,
                "|": left | right,
                "^": left ^ right,
                "<->": FULL ^ left ^ right,
            }[token]
        found[position] = value
        stack.append(value)
    return found


def table(formula: Sequence[str]) -> int:
    """The truth table of a formula: an integer of 32 bits."""
    return tables(formula)[0]


def literals(answer: Sequence[str]) -> dict[str, int]:
    """The partial assignment that an answer spells out.

    Args:
        answer: literals such as `a=1`.

    Returns:
        Value, 0 or 1, of each variable named.

    Raises:
        InputError: something else than a literal is among them, or a variable comes twice.
    """
    assigned: dict[str, int] = {}
    for literal in answer:
        if literal not in LITERALS:
            raise InputError(f"{literal!r} in an answer: expected literals such as 'a=1' or 'c=0'.")
        variable, value = literal.split("=")
        if variable in assigned:
            raise InputError(
                f"Variable {variable!r} is assigned twice in {' '.join(answer)!r}: expected once."
            )
        assigned[variable] = int(value)
    return assigned


def cube(assigned: dict[str, int]) -> int:
    """The completions of a partial assignment, as a truth table.

    Args:
        assigned: value of some variables.

    Returns:
        An integer of 32 bits, 1 for every total assignment that agrees.
    """
    found = FULL
    for variable, value in assigned.items():
        column = COLUMNS[VARIABLES.index(variable)]
        found &= column if value else FULL ^ column
    return found


@cache
def assignments() -> tuple[tuple[tuple[str, ...], int], ...]:
    """All 243 partial assignments with their cubes: the short ones first, then in the order of `LITERALS`.

    Returns:
        Pairs of literals and truth table.
    """
    found = []
    for values in itertools.product((None, 1, 0), repeat=len(VARIABLES)):
        assigned = {v: value for v, value in zip(VARIABLES, values) if value is not None}
        found.append((tuple(f"{v}={value}" for v, value in assigned.items()), cube(assigned)))
    found.sort(key=lambda pair: (len(pair[0]), [LITERALS.index(literal) for literal in pair[0]]))
    return tuple(found)


def shortest(truth: int) -> tuple[str, ...] | None:
    """The shortest partial assignment all of whose completions satisfy a formula; the first such in order.

    Args:
        truth: the formula's truth table.

    Returns:
        Its literals; none for a valid formula. None if nothing satisfies it.
    """
    if truth == 0:
        return None
    return next(literals_ for literals_, completions in assignments() if completions & ~truth == 0)


def satisfies(answer: Sequence[str], truth: int) -> bool:
    """Whether an answer is a partial assignment all of whose completions satisfy a formula.

    Args:
        answer: tokens; anything but literals of different variables is wrong.
        truth: the formula's truth table.

    Returns:
        True or False.
    """
    try:
        assigned = literals(answer)
    except InputError:
        return False
    return cube(assigned) & ~truth == 0


def clauses(formula: Sequence[str]) -> tuple[list[list[int]], int]:
    """The formula in conjunctive form by Tseitin's encoding: an independent account of what it means.

    Args:
        formula: tokens in Polish notation.

    Returns:
        Clauses over variables 1 to 5 (`VARIABLES`) and further ones for subformulas, and the literal that is
        equivalent to the formula.

    Raises:
        InputError: it is not one whole formula.
    """
    subtrees(formula)
    made: list[list[int]] = []
    stack: list[int] = []
    last = len(VARIABLES)
    for token in reversed(formula):
        if token in VARIABLES:
            stack.append(VARIABLES.index(token) + 1)
            continue
        if token == "!":
            stack.append(-stack.pop())
            continue
        x, y = stack.pop(), stack.pop()
        last += 1
        z = last
        if token == "&":
            made += [[-z, x], [-z, y], [z, -x, -y]]
        elif token == "|":
            made += [[z, -x], [z, -y], [-z, x, y]]
        else:
            z = z if token == "^" else -z
            made += [[-z, x, y], [-z, -x, -y], [z, x, -y], [z, -x, y]]
            z = last
        stack.append(z)
    return made, stack[0]


def prove(formula: Sequence[str], answer: Sequence[str]) -> bool:
    """Whether an answer satisfies a formula under every completion, asked of a SAT solver.

    Args:
        formula: tokens in Polish notation.
        answer: literals.

    Returns:
        True if no completion makes the formula false. Answers that are no partial assignment are False.

    Raises:
        InputError: the formula is not one.
        MissingExtraError: python-sat is not installed.
    """
    try:
        from pysat.solvers import Solver
    except ModuleNotFoundError as error:
        from attnflow.errors import MissingExtraError

        raise MissingExtraError("python-sat", "studies") from error
    try:
        assigned = literals(answer)
    except InputError:
        return False
    made, root = clauses(formula)
    given = [(1 if value else -1) * (VARIABLES.index(variable) + 1) for variable, value in assigned.items()]
    with Solver(name="cadical153", bootstrap_with=made) as solver:
        return not solver.solve(assumptions=[*given, -root])
