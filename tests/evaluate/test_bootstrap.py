"""The bootstrap against the exact distribution of a resampled mean."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from attnflow.errors import InputError, OptionError
from attnflow.evaluate import bootstrap


def test_against_every_resample():
    examples = np.array([0.0, 1.0, 4.0, 9.0])
    means = np.array([np.mean(drawn) for drawn in itertools.product(examples, repeat=4)])
    found = bootstrap(examples, level=0.8, resamples=200_000)
    assert found.estimate == 3.5
    assert (found.lower, found.upper) == pytest.approx(tuple(np.quantile(means, [0.1, 0.9])), abs=0.26)
    assert found.lower in means.round(9)
    assert found.upper in means.round(9)


def test_is_settled_by_its_seed_and_nests_by_level():
    examples = np.random.default_rng(0).normal(size=50)
    assert bootstrap(examples, seed=1) == bootstrap(examples, seed=1)
    wide, narrow = bootstrap(examples, level=0.99), bootstrap(examples, level=0.5)
    assert wide.lower < narrow.lower < narrow.estimate < narrow.upper < wide.upper
    # the normal approximation of the interval of a mean
    assert wide.upper - wide.lower == pytest.approx(2 * 2.576 * examples.std() / 50**0.5, rel=0.1)


def test_another_statistic():
    found = bootstrap([1, 2, 3, 4, 100], lambda sample: np.median(sample, axis=-1))
    assert found.estimate == 3


def test_one_example_has_no_width():
    found = bootstrap([2.0])
    assert (found.lower, found.estimate, found.upper) == (2, 2, 2)


def test_refusals():
    with pytest.raises(InputError, match="finite"):
        bootstrap([])
    with pytest.raises(InputError, match="finite"):
        bootstrap([1, float("inf")])
    with pytest.raises(OptionError, match="level"):
        bootstrap([1, 2], level=95)
    with pytest.raises(OptionError, match="resamples"):
        bootstrap([1, 2], resamples=0)
