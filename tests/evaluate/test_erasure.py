"""Erasure metrics on models small enough to work out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnflow.errors import InputError, OptionError
from attnflow.evaluate import (
    activation_curve,
    aopc,
    area,
    blank_out,
    comprehensiveness,
    deleted,
    log_odds,
    masked,
    order,
    pruning_curve,
    pruning_error,
    sufficiency,
)

WEIGHTS = np.array([0.1, 0.4, 0.0, 0.3])


def additive(shown):
    """Probability 0.1 plus the weights of what is shown."""
    return 0.1 + shown @ WEIGHTS


def test_by_hand():
    # best first: players 1, 3, 0, 2
    assert comprehensiveness(additive, WEIGHTS, [0.25]) == pytest.approx(0.4)
    assert comprehensiveness(additive, WEIGHTS, [0.25, 0.5, 1]) == pytest.approx((0.4 + 0.7 + 0.8) / 3)
    assert sufficiency(additive, WEIGHTS, [0.5]) == pytest.approx(0.1)
    assert aopc(additive, WEIGHTS) == pytest.approx((0 + 0.4 + 0.7 + 0.8 + 0.8) / 5)
    assert aopc(additive, WEIGHTS, steps=1) == pytest.approx(0.4 / 2)
    assert log_odds(additive, WEIGHTS, [0.25, 0.5]) == pytest.approx(
        (math.log(0.5 / 0.9) + math.log(0.2 / 0.9)) / 2
    )
    assert blank_out(additive, 4) == pytest.approx(WEIGHTS)
    assert activation_curve(additive, WEIGHTS) == pytest.approx([0.1, 0.5, 0.8, 0.9, 0.9])
    assert pruning_curve(additive, WEIGHTS) == pytest.approx([0.9, 0.9, 0.8, 0.5, 0.1])
    assert pruning_error([0.9, 0.9, 0.8]) == pytest.approx([0, 0, 0.01])
    assert area([0.1, 0.5, 0.8]) == pytest.approx((0.3 + 0.65) / 2)


@given(st.permutations(range(4)))
def test_the_true_order_is_the_best(scores):
    for metric, best in ((comprehensiveness, max), (aopc, max), (sufficiency, min), (log_odds, min)):
        found, right = metric(additive, scores), metric(additive, WEIGHTS)
        assert best(found, right) == pytest.approx(right)
    assert area(activation_curve(additive, scores)) <= area(activation_curve(additive, WEIGHTS)) + 1e-12
    assert (
        area(pruning_error(pruning_curve(additive, scores)))
        >= area(pruning_error(pruning_curve(additive, WEIGHTS))) - 1e-12
    )


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=6), st.sampled_from([0.1, 0.2, 0.3, 0.5, 1.0]))
def test_what_is_erased_is_what_a_sort_says(scores, fraction):
    """Every variant that is asked about, for a model that answers with a fingerprint of what it is shown."""
    n = len(scores)
    prints = {shown: (i + 1) / 2**n for i, shown in enumerate(itertools.product([False, True], repeat=n))}

    def predict(shown):
        return [prints[tuple(map(bool, row))] for row in shown]

    everything = prints[(True,) * n]
    best = sorted(range(n), key=lambda j: (-scores[j], j))
    assert order(scores).tolist() == best
    top = set(best[: next(k for k in range(1, n + 1) if k >= fraction * n - 1e-9)])
    without = prints[tuple(j not in top for j in range(n))]
    alone = prints[tuple(j in top for j in range(n))]
    assert comprehensiveness(predict, scores, [fraction]) == pytest.approx(everything - without)
    assert sufficiency(predict, scores, [fraction]) == pytest.approx(everything - alone)
    assert log_odds(predict, scores, [fraction]) == pytest.approx(math.log(without / everything))
    steps = [prints[tuple(j not in best[:k] for j in range(n))] for k in range(n + 1)]
    assert aopc(predict, scores) == pytest.approx(sum(everything - p for p in steps) / (n + 1))
    rising = [prints[tuple(j in best[:k] for j in range(n))] for k in range(n + 1)]
    assert activation_curve(predict, scores) == pytest.approx(rising)
    assert pruning_curve(predict, scores) == pytest.approx(rising[::-1])


def test_three_tenths_of_thirty_are_nine():
    asked = []

    def predict(shown):
        asked.append(shown.sum(axis=1).tolist())
        return np.ones(len(shown))

    comprehensiveness(predict, np.arange(30), [0.1, 0.3, 0.31])
    assert asked == [[30, 27, 21, 20]]


def test_masking_keeps_the_length_and_deleting_does_not():
    ids, words = [101, 7, 8, 9, 102], [[1, 2], [3]]
    assert masked(ids, [True, False, True, False, True], 0) == [101, 0, 8, 0, 102]
    assert masked(ids, [1], 0, words) == [101, 0, 0, 9, 102]
    assert deleted(ids, [1], words) == [101, 9, 102]
    assert deleted(ids, np.array([False, False]), words) == [101, 102]
    assert deleted([1, 2], []) == []


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda: comprehensiveness(additive, WEIGHTS, [0]), OptionError, "fraction=0"),
        (lambda: sufficiency(additive, WEIGHTS, [1.5]), OptionError, "fraction=1.5"),
        (lambda: aopc(additive, WEIGHTS, steps=5), OptionError, "steps=5"),
        (lambda: blank_out(additive, 0), OptionError, "players=0"),
        (lambda: log_odds(lambda shown: shown.sum(axis=1), [1.0]), InputError, "above 0"),
        (lambda: log_odds(lambda shown: shown.sum(axis=1) * 1.5 + 1, [1.0]), InputError, "at most 1"),
        (lambda: aopc(lambda shown: [1.0], WEIGHTS), InputError, "one number for each of 5"),
        (lambda: aopc(lambda shown: np.full(len(shown), np.nan), WEIGHTS), InputError, "not a finite"),
        (lambda: area([1.0]), InputError, "two points"),
        (lambda: masked([1, 2], [0], 0, [[2]]), InputError, "positions 2 to 2"),
    ],
)
def test_refusals(ask, error, message):
    with pytest.raises(error, match=message):
        ask()
