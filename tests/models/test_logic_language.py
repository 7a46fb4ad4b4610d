"""What formulas and answers mean: by hand, by Python's own logic, by a SAT solver."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnflow.errors import InputError
from attnflow.models.logic import formulas, language

VARIABLES = language.VARIABLES


def meaning(formula, values):
    """The formula's truth, by recursion from the left."""
    rest = iter(formula)

    def value():
        token = next(rest)
        if token in VARIABLES:
            return values[token]
        if token == "!":
            return not value()
        x, y = value(), value()
        return {"&": x and y, "|": x or y, "^": x != y, "<->": x == y}[token]

    return value()


def nested(children):
    return st.tuples(st.just(["!"]), children).map(lambda p: p[0] + p[1]) | st.tuples(
        st.sampled_from([["&"], ["|"], ["^"], ["<->"]]), children, children
    ).map(lambda p: p[0] + p[1] + p[2])


some = st.recursive(st.sampled_from(VARIABLES).map(lambda v: [v]), nested, max_leaves=6)


@given(some)
def test_truth_table_is_the_meaning(formula):
    for row in range(32):
        values = {variable: bool(row >> v & 1) for v, variable in enumerate(VARIABLES)}
        assert bool(language.table(formula) >> row & 1) == meaning(formula, values)


@given(some, st.dictionaries(st.sampled_from(VARIABLES), st.integers(0, 1)))
@settings(max_examples=25)
def test_the_solver_and_the_table_agree(formula, assigned):
    pytest.importorskip("pysat")
    answer = [f"{variable}={value}" for variable, value in assigned.items()]
    every = all(
        meaning(
            formula, {**dict(zip(VARIABLES, map(bool, values))), **{v: bool(x) for v, x in assigned.items()}}
        )
        for values in itertools.product((0, 1), repeat=5)
    )
    assert language.satisfies(answer, language.table(formula)) == every
    assert language.prove(formula, answer) == every


@pytest.mark.parametrize(
    ("formula", "answer", "right"),
    [
        ("& a | b ! c", "a=1 b=1", True),
        ("& a | b ! c", "a=1 c=0", True),
        ("& a | b ! c", "a=1", False),
        ("& a | b ! c", "a=0 b=1", False),
        ("<-> a b", "a=0 b=0", True),
        ("^ a b", "a=0 b=0", False),
        ("^ a b", "a=1", False),
        ("| a ! a", "", True),
        ("a", "", False),
        ("a", "a=1 a=1", False),
        ("a", "a", False),
        ("!!e", "e=1", True),
        ("&a|b!c", "a=1 b=1 d=0", True),
    ],
)
def test_by_hand(formula, answer, right):
    tokens = language.tokens(formula)
    assert language.satisfies(answer.split(), language.table(tokens)) is right
    if pytest.importorskip("pysat"):
        assert language.prove(tokens, answer.split()) is right


def test_shortest_by_hand():
    def short(formula):
        return language.shortest(language.table(language.tokens(formula)))

    assert short("& a | b ! c") == ("a=1", "b=1")
    assert short("& ! a | ! c ! b") == ("a=0", "b=0")
    assert short("| & a b e") == ("e=1",)
    assert short("^ d b") == ("b=1", "d=0")
    assert short("| a ! a") == ()
    assert short("& a ! a") is None


@given(some)
@settings(max_examples=20)
def test_nothing_shorter_satisfies(formula):
    truth = language.table(formula)
    found = language.shortest(truth)
    if found is None:
        assert truth == 0
        return
    assert language.satisfies(found, truth)
    for count in range(len(found)):
        for chosen in itertools.combinations(VARIABLES, count):
            for values in itertools.product((0, 1), repeat=count):
                answer = [f"{variable}={value}" for variable, value in zip(chosen, values)]
                assert not language.satisfies(answer, truth)


def test_subtrees():
    assert language.subtrees(["&", "a", "|", "b", "!", "c"]) == [
        (0, 6),
        (1, 2),
        (2, 6),
        (3, 4),
        (4, 6),
        (5, 6),
    ]


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("& a", "'&' at position 0 of '& a' lacks an operand"),
        ("a b", "2 formulas in a row"),
        ("a & b", "lacks an operand"),
        ("& a f", "'f' in a formula: expected variables a b c d e"),
        ("& a a=1", "'a=1' in a formula"),
        ("", "0 formulas in a row"),
    ],
)
def test_what_is_no_formula(formula, message):
    with pytest.raises(InputError, match=message):
        language.tokens(formula)


def test_drawn_formulas_come_with_their_answers_and_tables():
    drawn = formulas.draw(9, 200, "train", 3)
    assert not formulas.held_out(drawn.tables[:, 0]).any()
    for text, tables, answer in zip(drawn.texts(), drawn.tables, drawn.answers):
        assert language.tables(text) == tables.tolist()
        said = tuple(language.LITERALS[literal] for literal in answer if literal >= 0)
        assert said == language.shortest(language.table(text))
        assert said
    again = formulas.draw(9, 200, "train", 3)
    assert np.array_equal(again.tokens, drawn.tokens)


def test_parts_share_neither_functions_nor_strings():
    drawn = {part: formulas.distinct(6, 1500, part, 1) for part in ("train", "string", "function")}
    functions = {part: set(one.tables[:, 0].tolist()) for part, one in drawn.items()}
    strings = {part: set(map(tuple, one.tokens.tolist())) for part, one in drawn.items()}
    assert not functions["function"] & (functions["train"] | functions["string"])
    assert functions["train"] & functions["string"]
    assert not strings["string"] & strings["train"]
    assert all(len(strings[part]) == len(one.tokens) > 100 for part, one in drawn.items())


def test_a_size_that_a_part_does_not_have():
    assert len(formulas.draw(1, 5, "function", 0).tokens) in (0, 5)
