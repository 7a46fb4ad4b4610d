"""Atom maps: made reactions whose answer is known by hand, and assignments that can be checked by eye."""

from itertools import permutations

import numpy as np
import pytest

pytest.importorskip("rdkit")

from experiments.reactions import made, maps

REACTION = made.Reaction(
    "CCO.CN>>CNC",
    "none",
    elements=(6, 6, 8, 6, 7, 6, 7, 6),
    precursors=5,
    bonds=((0, 1), (1, 2), (3, 4), (5, 6), (6, 7)),
    origins=(frozenset({1}), frozenset({4}), frozenset({3})),
)


def test_products_remember_where_their_atoms_came_from():
    rng = np.random.default_rng(0)
    name, template, _ = made.TEMPLATES[0]
    amide = made.reaction(name, template, ["CC(=O)O", "NCc1ccccc1"], [], rng)
    before, after = amide.text.split(">>")
    assert after == "CC(=O)NCc1ccccc1"
    acid = 0 if before.startswith("CC(=O)O") else len("NCc1ccccc1".replace("1", ""))
    amine = 4 if acid == 0 else 0
    assert amide.origins[:5] == tuple(frozenset({a}) for a in (acid, acid + 1, acid + 2, amine, amine + 1))
    ring = [origins - {amine} for origins in amide.origins[5:]]
    assert [len(origins) for origins in ring] == [1, 2, 2, 1, 2, 2]  # ipso, ortho, meta, para, meta, ortho
    assert ring[1] == ring[5]
    assert ring[2] == ring[4]


def test_every_template_makes_reactions_whose_elements_agree():
    found = made.reactions(40, 3)
    assert {one.template for one in found} == {name for name, _, _ in made.TEMPLATES}
    for one in found:
        for place, origins in enumerate(one.origins):
            assert origins
            for atom in origins:
                assert one.elements[atom] == one.elements[one.precursors + place]
    assert [one.text for one in made.reactions(5, 3)] == [one.text for one in found[:5]]


def test_the_best_assignment_is_that_of_brute_force():
    rng = np.random.default_rng(1)
    alike = maps.same_element(REACTION)
    for _ in range(20):
        scores = rng.random((3, 5))
        shares = np.where(alike, scores, 0) / np.where(alike, scores, 0).sum(1, keepdims=True)
        chosen = max(
            (c for c in permutations(range(5), 3) if all(alike[r, a] for r, a in enumerate(c))),
            key=lambda c: sum(shares[r, a] for r, a in enumerate(c)),
        )
        assert tuple(maps.best(scores, REACTION)) == chosen


def test_neighbours_of_mapped_atoms_are_favoured():
    scores = np.zeros((3, 5))
    scores[0] = [0.30, 0.20, 9.0, 0.25, 9.0]  # its own best carbon is 0
    scores[1] = [9.0, 9.0, 9.0, 9.0, 0.01]  # the only nitrogen: surest
    scores[2] = [0.40, 0.10, 9.0, 0.05, 9.0]
    assert maps.nearest(scores, REACTION).tolist() == [0, 4, 0]
    assert maps.guided(scores, REACTION).tolist() == [3, 4, 0]  # next to the nitrogen stands 3
    assert maps.right(np.array([1, 4, 0]), REACTION).tolist() == [True, True, False]


def test_atoms_without_any_score_stay_unmapped():
    assert maps.nearest(np.zeros((3, 5)), REACTION).tolist() == [-1, -1, -1]
    assert maps.guided(np.zeros((3, 5)), REACTION).tolist() == [-1, -1, -1]
