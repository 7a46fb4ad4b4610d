"""Which positions a classification head reads.

After the last attention layer every position goes its own way until the head picks or mixes some. So the
positions it reads are those at which the logit has a gradient with respect to that layer's output. Where that
gradient says nothing, the rules that transformers' heads follow stand in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from attnflow.capture.decisions import find_logits
from attnflow.capture.interface import Recorder, run_listening
from attnflow.capture.records import Heads
from attnflow.errors import CaptureError


def probed(model: Any, tensors: dict[str, Any], calls: int) -> tuple[int, ...] | None:
    """Finds the pooled positions by one more pass, with gradients from the last attention layer on.

    Args:
        model: a classifier, inside `as_found`.
        tensors: its inputs.
        calls: number of attention layers of a pass.

    Returns:
        Positions of the last group, padding counted; None if the gradient says nothing.
    """
    import numpy as np

    if any(part.is_inference() for part in model.parameters()):  # autograd cannot use such weights
        return None
    recorder = Recorder(model, lambda sight, heads: np.empty((0, 0)), Heads("mean"), probe=calls - 1)
    with torch.no_grad():
        outputs = run_listening(model, tensors, recorder)
        logits, leaf = find_logits(outputs), recorder.probed
        if logits is None or leaf is None or not logits.requires_grad:
            return None
        best = logits[0, int(logits[0].argmax())]
        (gradient,) = torch.autograd.grad(best, leaf, allow_unused=True)
    if gradient is None:
        return None
    strength = gradient.reshape(-1, *gradient.shape[-2:]).abs().sum((0, 2))  # over heads and width
    return tuple(int(index) for index in torch.nonzero(strength).flatten()) or None


def by_rule(model: Any, architecture: str, size: int, ids: Sequence[int] | None) -> tuple[int, ...]:
    """The pooled positions by what the heads of transformers do.

    A sequence summary names its position; encoders read the first, decoders the last that is not padding,
    encoder-decoders that of the last end token.
    """
    config = model.config
    kind = getattr(config, "summary_type", None) if hasattr(model, "sequence_summary") else None
    kind = kind or getattr(config, "classifier_pooling", None)
    if kind == "mean":
        return tuple(range(size))
    if kind in ("first", "cls"):
        return (0,)
    if kind == "last":
        return (size - 1,)
    if architecture == "encoder":
        return (0,)
    sought = getattr(config, "eos_token_id" if architecture == "encoder-decoder" else "pad_token_id", None)
    if ids is None or sought is None:
        return (size - 1,)
    if architecture == "decoder":
        return (max((index for index, id in enumerate(ids) if id != sought), default=size - 1),)
    found = [index for index, id in enumerate(ids) if id == sought]
    if not found:
        raise CaptureError(
            f"{type(model).__name__} reads its class at the end token, but the input holds none."
        )
    return (found[-1],)
