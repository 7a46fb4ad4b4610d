"""Alignment error rate by hand."""

from __future__ import annotations

import pytest

from attnflow.errors import InputError
from attnflow.evaluate import alignment_error_rate


def test_by_hand():
    sure, possible = [(0, 0), (1, 2)], [(1, 1)]
    assert alignment_error_rate(sure, sure, possible) == 0
    assert alignment_error_rate([*sure, (1, 1)], sure, possible) == 0  # |A and S| 2, |A and P| 3, of 3 + 2
    assert alignment_error_rate([(0, 0), (2, 2)], sure, possible) == pytest.approx(1 - (1 + 1) / (2 + 2))
    assert alignment_error_rate([(0, 0)], sure) == pytest.approx(1 - (1 + 1) / (1 + 2))
    assert alignment_error_rate([], sure) == 1
    assert alignment_error_rate([(5, 5)], sure) == 1


def test_nothing_to_compare():
    with pytest.raises(InputError, match="there is none"):
        alignment_error_rate([], [], [(1, 1)])
