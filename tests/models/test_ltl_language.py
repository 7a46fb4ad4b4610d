"""What temporal formulas mean: hand-written cases, an evaluation by unrolling, the laws of the logic."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnflow.errors import InputError
from attnflow.models.ltl import formulas, kernels, language

BY_HAND = [
    # formula, trace, does it hold
    ("a", "loop {a}", True),
    ("a", "{b} loop {a}", False),
    ("! a", "{} loop {a}", True),
    ("X a", "{} loop {a}", True),
    ("X a", "{a} loop {}", False),
    ("X X a", "loop {a} {}", True),  # two steps on is round the loop
    ("X X X a", "loop {a} {}", False),
    ("X X a", "{a} loop {} {b}", False),
    ("F b", "{} {} loop {b} {}", True),
    ("F b", "{} loop {a}", False),
    ("F b", "{b} loop {a}", True),
    ("X F b", "{b} loop {a}", False),
    ("G a", "loop {a} {ab}", True),
    ("G a", "{a} loop {a} {b}", False),
    ("G F a", "{} loop {} {a}", True),
    ("G F a", "{a} {a} loop {}", False),
    ("F G a", "{} {} loop {a}", True),
    ("F G a", "loop {a} {}", False),
    ("U a b", "loop {b}", True),  # at once
    ("U a b", "{a} {a} loop {b}", True),
    ("U a b", "{a} {} loop {b}", False),
    ("U a b", "loop {a}", False),  # until is strong: b must come
    ("U a b", "loop {c} {b}", False),
    ("U a b", "{ac} loop {b} {}", True),
    ("U a U b c", "{a} {b} loop {c}", True),
    ("U U a b c", "{a} {b} loop {c}", True),
    ("U U a b c", "{a} {} loop {c}", False),
    ("-> a X b", "{} loop {a}", True),
    ("-> a X b", "{a} loop {b}", True),
    ("G -> a X b", "loop {a} {b}", True),
    ("G -> a X b", "loop {a} {a} {b}", False),
    ("G -> a F b", "{a} {a} loop {} {b}", True),
    ("G -> a F b", "{a} {b} loop {a}", False),
    ("& F a F ! a", "loop {a} {}", True),
    ("| G a G b", "loop {a} {b}", False),
    ("! U a b", "loop {a}", True),
    ("& U a b G ! c", "{a} loop {b} {bc}", False),
]


@pytest.mark.parametrize(("formula", "trace", "holds"), BY_HAND)
def test_by_hand(formula, trace, holds):
    tokens = language.tokens(formula)
    assert language.satisfies(trace.split(), tokens) is holds
    unrolled = Unrolled(language.lasso(trace.split()))
    assert unrolled.holds(tokens) is holds


class Unrolled:
    """The definition on a long finite piece of the trace: what comes by its end has come for good or never does."""

    def __init__(self, trace):
        self.states = list(trace.prefix) + list(trace.loop) * 40
        self.period, self.start = len(trace.loop), len(trace.prefix)

    def holds(self, formula, at=0):
        value, rest = self.read(list(formula), at)
        assert rest == []
        return value

    def read(self, formula, at):
        token, rest = formula[0], formula[1:]
        if token in language.PROPOSITIONS:
            return token in self.states[at], rest
        if token == "X":
            return self.read(rest, at + 1)
        if token in "!FG":
            horizon = 1 if token == "!" else self.start + self.period
            values = [self.read(rest, at + step) for step in range(horizon)]
            truth = [value for value, _ in values]
            return {"!": not truth[0], "F": any(truth), "G": all(truth)}[token], values[0][1]
        _, second = self.read(rest, at)
        if token == "U":
            for step in range(self.start + self.period):
                if self.read(second, at + step)[0]:
                    return True, self.read(second, at)[1]
                if not self.read(rest, at + step)[0]:
                    break
            return False, self.read(second, at)[1]
        x, (y, after) = self.read(rest, at)[0], self.read(second, at)
        return {"&": x and y, "|": x or y, "->": not x or y}[token], after


def nested(children):
    return st.tuples(st.sampled_from([["!"], ["X"], ["F"], ["G"]]), children).map(
        lambda p: p[0] + p[1]
    ) | st.tuples(st.sampled_from([["&"], ["|"], ["->"], ["U"]]), children, children).map(
        lambda p: p[0] + p[1] + p[2]
    )


some = st.recursive(st.sampled_from(language.PROPOSITIONS).map(lambda p: [p]), nested, max_leaves=3)
states = st.lists(st.sampled_from(language.STATES), max_size=2)
loops = st.lists(st.sampled_from(language.STATES), min_size=1, max_size=2)


@given(some.filter(lambda formula: len(formula) <= 7), states, loops)
def test_agrees_with_the_definition_unrolled(formula, before, loop):
    answer = [*before, "loop", *loop]
    assert language.satisfies(answer, formula) == Unrolled(language.lasso(answer)).holds(formula)


@given(some, some, states, loops)
def test_laws(p, q, before, loop):
    trace = language.lasso([*before, "loop", *loop])

    def everywhere(formula):
        return language.values(formula, trace)[0]

    assert everywhere(["F", *p]) == everywhere(["!", "G", "!", *p])
    assert everywhere(["F", *p]) == everywhere(["U", "->", "a", "a", *p])
    assert everywhere(["U", *p, *q]) == everywhere(["|", *q, "&", *p, "X", "U", *p, *q])
    assert everywhere(["X", "!", *p]) == everywhere(["!", "X", *p])


@given(some, states, loops)
def test_only_the_trace_matters_not_how_it_is_written(formula, before, loop):
    written = language.satisfies([*before, "loop", *loop], formula)
    assert language.satisfies([*before, *loop, "loop", *loop], formula) == written
    assert language.satisfies([*before, "loop", *loop, *loop], formula) == written
    assert language.satisfies([*before, loop[0], "loop", *loop[1:], loop[0]], formula) == written


@pytest.mark.parametrize(
    "answer", ["", "{a}", "{a} loop", "loop", "loop {a} loop {b}", "loop {ba}", "loop a", "? loop {}"]
)
def test_what_is_no_trace(answer):
    assert not language.satisfies(answer.split(), ["|", "a", "!", "a"])
    with pytest.raises(InputError):
        language.lasso(answer.split())


@pytest.mark.parametrize("formula", ["U a", "a b", "a U b", "d", "", "G loop"])
def test_what_is_no_formula(formula):
    with pytest.raises(InputError):
        language.tokens(formula)
    with pytest.raises(InputError):
        language.satisfies(["loop", "{}"], formula.split())


@pytest.mark.slow
def test_answers_are_shortest_and_bits_are_values():
    drawn = formulas.draw(6, 40, "train", 3)
    for text, bits, answer in zip(drawn.texts(), drawn.bits, drawn.answers):
        said = [formulas.WORDS[word] for word in answer if word >= 0]
        assert language.satisfies(said, text)
        for count in range(1, len(said) - 1):
            for letters in itertools.product(language.STATES, repeat=count):
                for at in range(count):
                    assert not language.satisfies([*letters[:at], "loop", *letters[at:]], text)
        place = 0
        for start in range(4):
            for probe in kernels._PROBES[start]:
                letters = [language.STATES[probe // 8 ** (3 - at) % 8] for at in range(4)]
                values = language.values(text, language.lasso([*letters[:start], "loop", *letters[start:]]))
                assert bits[:, place : place + 4].tolist() == [[int(v) for v in row] for row in values]
                place += 4


@pytest.mark.slow
def test_parts_share_neither_meanings_nor_strings():
    drawn = {part: formulas.distinct(5, 300, part, 1) for part in ("train", "string", "meaning")}
    strings = {part: set(map(tuple, one.tokens.tolist())) for part, one in drawn.items()}
    assert not strings["string"] & strings["train"]
    assert not strings["meaning"] & (strings["train"] | strings["string"])
    assert not drawn["meaning"].known[:, 0].any()
    assert drawn["train"].known[:, 0].all()
    every = [
        language.lasso([*w[:at], "loop", *w[at:]])
        for w in itertools.product(language.STATES, repeat=2)
        for at in (0, 1)
    ]

    def meanings(part):
        return {
            tuple(language.values(text, trace)[0][0] for trace in every) for text in drawn[part].texts()[:40]
        }

    assert meanings("train") & meanings("string")
    again = formulas.draw(5, 50, "train", 1)
    assert np.array_equal(again.tokens, formulas.draw(5, 50, "train", 1).tokens)
