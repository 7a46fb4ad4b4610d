"""Sure and possible links between two sequences, against a brute force over all common subsequences."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rdkit")
pytest.importorskip("torch")

from experiments.alignment.copies import links


def longest(first, second):
    """Every longest common subsequence, as a set of links."""
    for size in range(min(len(first), len(second)), -1, -1):
        found = [
            frozenset(zip(a, b))
            for a in combinations(range(len(first)), size)
            for b in combinations(range(len(second)), size)
            if all(first[i] == second[j] for i, j in zip(a, b))
        ]
        if found:
            return found
    raise AssertionError


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_links_stand_on_every_or_some_longest_common_subsequence(first, second):
    sure, possible = links(first, second)
    every = longest(first, second)
    assert sure == frozenset.intersection(*every)
    assert possible == frozenset.union(*every)


def test_an_exact_copy_is_linked_one_to_one_even_where_tokens_repeat():
    sure, possible = links([1, 1, 2, 1], [1, 1, 2, 1])
    assert sure == possible == {(0, 0), (1, 1), (2, 2), (3, 3)}
