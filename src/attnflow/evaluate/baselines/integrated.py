"""Integrated gradients (Sundararajan et al. 2017), by captum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import OptionError, unknown_name
from attnflow.evaluate.baselines.gradients import joined
from attnflow.evaluate.baselines.library import captum
from attnflow.evaluate.embeddings import embedded, output_of
from attnflow.evaluate.prediction import Prediction, evaluating

BASELINES = ("mask", "pad", "zero")


def scores(prediction: Prediction, *, steps: int = 20, baseline: str | None = None) -> NDArray[np.float64]:
    """The gradient of the logit along the line from a baseline to the input, times the way.

    Scores sum to the logit's difference between the two, up to the rule's error. Tokens that are never hidden keep
    their embedding along the line and score 0. The rule is Gauss and Legendre's, captum's default.

    Args:
        prediction: what is explained.
        steps: points on the line, each one forward and one backward pass.
        baseline: what stands in each token's place at the start: the embedding of the "mask" or "pad" token, or
            "zero". None: what the prediction's hidden tokens are replaced by, else zero.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise OptionError(f"steps={steps!r}: expected a number of points on the line from 1 up.")
    attr = captum()
    with evaluating(prediction.model):
        given = embedded(prediction)
        start = start_of(prediction, baseline)
        parts = attr.IntegratedGradients(output_of(prediction)).attribute(
            given, baselines=start, n_steps=steps, internal_batch_size=max(prediction.batch, 1)
        )
    return joined(parts, lambda part: part.sum(-1))


def start_of(prediction: Prediction, baseline: str | None = None) -> tuple[Any, ...]:
    """The embeddings that the line starts at, one tensor `[1, positions, width]` per sequence."""
    import torch

    fixed = prediction.fixed
    kept = [torch.as_tensor(fixed[part])[None, :, None] for part in prediction.stacks]
    given = embedded(prediction)
    id = _id(prediction, baseline)
    start = tuple(torch.zeros_like(part) for part in given)
    if id is not None:
        start = embedded(prediction, [id] * prediction.players)
    return tuple(
        torch.where(keep.to(part.device), part, base) for keep, part, base in zip(kept, given, start)
    )


def _id(prediction: Prediction, baseline: str | None) -> int | None:
    """The id whose embedding the line starts at; None for zero."""
    if baseline is None:
        return prediction.replacement
    if baseline not in BASELINES:
        raise unknown_name("baseline", baseline, BASELINES)
    if baseline == "zero":
        return None
    id = getattr(prediction.tokenizer, f"{baseline}_token_id", None)
    if id is None:
        raise OptionError(
            f"baseline={baseline!r}: the tokenizer has no such token; expected one it has, or 'zero'."
        )
    return int(id)
