"""Ranking metrics against their definitions, counted out pair by pair."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnflow.errors import InputError, OptionError
from attnflow.evaluate import auroc, precision_at_k, rank_correlation, ranks

few = st.lists(st.integers(-2, 3), min_size=2, max_size=7)


@given(few, st.data())
def test_auroc_counts_pairs(scores, data):
    truth = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    if all(truth) or not any(truth):
        with pytest.raises(InputError, match="relevant"):
            auroc(scores, np.array(truth))
        return
    pairs = [
        (x > y) + 0.5 * (x == y) for x, s in zip(scores, truth) if s for y, t in zip(scores, truth) if not t
    ]
    assert auroc(scores, np.array(truth)) == pytest.approx(sum(pairs) / len(pairs))


@given(few, st.data())
def test_precision_is_the_mean_over_ways_to_break_ties(scores, data):
    relevant = data.draw(st.sets(st.integers(0, len(scores) - 1), min_size=1))
    k = data.draw(st.integers(1, len(scores)))
    best = max(sum(scores[j] for j in chosen) for chosen in itertools.combinations(range(len(scores)), k))
    shares = [
        len(relevant & set(chosen)) / k
        for chosen in itertools.combinations(range(len(scores)), k)
        if sum(scores[j] for j in chosen) == best
    ]
    assert precision_at_k(scores, relevant, k) == pytest.approx(sum(shares) / len(shares))


def test_precision_looks_at_as_many_as_are_relevant():
    assert precision_at_k([5, 4, 3, 2], [0, 2]) == 0.5
    assert precision_at_k([5, 4, 3, 2], [1], 1) == 0.0


@given(few, st.randoms(use_true_random=False))
def test_rank_correlation_of_permutations(scores, random):
    """Without ties, Spearman's formula 1 - 6 sum d^2 / (n (n^2 - 1))."""
    n = len(scores)
    x, y = random.sample(range(n), n), random.sample(range(n), n)
    by_formula = 1 - 6 * sum((a - b) ** 2 for a, b in zip(x, y)) / (n * (n * n - 1))
    assert rank_correlation(x, y) == pytest.approx(by_formula)


def test_rank_correlation_with_ties_by_hand():
    assert ranks([3, 1, 3, 0]).tolist() == [3.5, 2, 3.5, 1]
    # ranks (1.5, 1.5, 3) and (1, 2, 3): covariance 1.5, squares 1.5 and 2
    assert rank_correlation([0, 0, 1], [1, 2, 3]) == pytest.approx(1.5 / math.sqrt(1.5 * 2))


def test_rank_correlation_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.integers(0, 6, 12), rng.integers(0, 6, 12)
        assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: auroc([], [0]), "one number per player"),
        (lambda: auroc([1, math.nan], [0]), "1 of 2 are not finite"),
        (lambda: auroc([1, 2], [2]), "position 2 with 2 players"),
        (lambda: auroc([1, 2], np.array([True])), "expected 2 booleans"),
        (lambda: auroc([1, 2], [0.5]), "positions of players"),
        (lambda: precision_at_k([1, 2], []), "at least one relevant"),
        (lambda: rank_correlation([1, 1], [1, 2]), "the scores are all the same"),
        (lambda: rank_correlation([1, 2], [3, 3]), "the reference are all the same"),
        (lambda: rank_correlation([1, 2], [1, 2, 3]), "expected as many"),
    ],
)
def test_refusals(ask, message):
    with pytest.raises(InputError, match=message):
        ask()


def test_k_out_of_range():
    with pytest.raises(OptionError, match="k=3"):
        precision_at_k([1, 2], [0], 3)
