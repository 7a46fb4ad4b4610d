"""The agreement study's grades, against cases by hand."""

import numpy as np
import pytest
from experiments.agreement.__main__ import sentences
from experiments.agreement.grading import graded, share
from experiments.agreement.rows import controls

from attnflow.models.agreement.language import Sentence

WORDS = ("near", "the", "door", "the", "keys", "to", "the", "cabinet", "are", "old", ".")
KEYS = Sentence(WORDS, "phrase", "phrase", "plural", 4, 8, "is", (2,), (7,), (2, 7), (("key", "is"),))


def test_shares_leave_out_what_is_negative():
    assert share(np.array([1.0, -5.0, 3.0]), [2]) == 0.75
    assert share(np.zeros(3), [2]) is None


def test_the_subject_is_found_or_not():
    blanked = np.arange(8.0)
    scores = np.array([0, 0, 2, 0, 5, 0, 0, 3.0])
    found = graded(KEYS, scores, blanked, np.arange(7))
    assert found["auroc"] == found["precision"] == 1
    assert found["subject"] == found["attractors"] == 0.5
    assert graded(KEYS, np.eye(8)[7], blanked, np.arange(7))["top attractor"] == 1
    assert graded(KEYS, -scores, blanked, np.arange(7))["auroc"] == 0
    assert graded(KEYS, np.ones(8), blanked, np.arange(7))["blank-out"] is None
    assert graded(KEYS, blanked, blanked, np.arange(7))["blank-out"] == pytest.approx(1)


def test_controls():
    found = controls(KEYS, 1)
    assert list(np.flatnonzero(found["every noun alike"])) == [2, 4, 7]
    assert list(np.flatnonzero(found["first noun"])) == [2]
    assert list(np.flatnonzero(found["last noun"])) == [7]
    assert (found["random"] == controls(KEYS, 1)["random"]).all()
    assert (found["random"] != controls(KEYS, 2)["random"]).any()


def test_half_of_the_sentences_have_something_in_front():
    drawn = sentences(20)
    assert [s.front == "nothing" for s in drawn] == [True] * 10 + [False] * 10
    assert all(s.attractors and s.is_held_out and s.subject < s.verb - 1 for s in drawn)
