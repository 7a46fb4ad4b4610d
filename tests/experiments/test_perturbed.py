"""Baselines for inputs that are no tokens, on functions whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from experiments import perturbed

GIVEN = torch.tensor([[1.0, 2.0, -1.0, 4.0]])
START = torch.tensor([[0.0, 1.0, 0.0, 0.0]])
PLACES = torch.tensor([0, 1, 1, 2])


def test_all_agree_on_what_is_linear():
    weights = torch.tensor([[1.0, 2.0, 3.0, 0.5], [0.0, -1.0, 0.0, 1.0]])
    found = perturbed.scores(lambda x: x @ weights.T, GIVEN, START, PLACES, batch=2)
    assert found.keys() == set(perturbed.NAMES)
    for name, scores in found.items():
        np.testing.assert_allclose(scores, [[1.0, -1.0, 2.0], [0.0, -1.0, 4.0]], atol=1e-6, err_msg=name)


def test_integrated_gradients_are_complete_where_gradients_are_not():
    found = perturbed.scores(lambda x: (x**2).sum(1, keepdim=True), GIVEN, START, PLACES)
    difference = float((GIVEN**2).sum() - (START**2).sum())
    assert found[perturbed.INTEGRATED].sum() == pytest.approx(difference, abs=1e-5)
    np.testing.assert_allclose(found[perturbed.OCCLUSION], [[1.0, 4.0, 16.0]], atol=1e-6)
    np.testing.assert_allclose(found[perturbed.TIMES_INPUT], [[2.0, 6.0, 32.0]], atol=1e-6)
