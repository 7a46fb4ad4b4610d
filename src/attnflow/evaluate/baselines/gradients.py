"""Gradients of the output's logit with respect to token embeddings, by captum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate.baselines.library import captum
from attnflow.evaluate.embeddings import embedded, output_of
from attnflow.evaluate.prediction import Prediction, evaluating


def times_input(prediction: Prediction) -> NDArray[np.float64]:
    """The inner product of each embedding with its gradient: one forward and one backward pass."""
    attr = captum()
    with evaluating(prediction.model):
        parts = attr.InputXGradient(output_of(prediction)).attribute(_leaves(prediction))
    return joined(parts, lambda part: part.sum(-1))


def norm(prediction: Prediction) -> NDArray[np.float64]:
    """The length of each embedding's gradient: one forward and one backward pass."""
    attr = captum()
    with evaluating(prediction.model):
        parts = attr.Saliency(output_of(prediction)).attribute(_leaves(prediction))
    return joined(parts, lambda part: part.norm(dim=-1))


def joined(parts: Sequence[Any], reduce: Any) -> NDArray[np.float64]:
    """Tensors `[1, positions, width]`, one per sequence, to float64 [players]."""
    found: list[NDArray[np.float64]] = [reduce(part.detach().double())[0].cpu().numpy() for part in parts]
    return np.concatenate(found)


def _leaves(prediction: Prediction) -> tuple[Any, ...]:
    return tuple(part.requires_grad_(True) for part in embedded(prediction))
