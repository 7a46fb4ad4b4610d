"""Which positions a classification head, or the one vector of an embedding model, reads.

After the last attention layer every position goes its own way until the head picks or mixes some. So the
positions it reads are those at which the output has a gradient with respect to that layer's output; a head that mixes
them by attention of its own (SigLIP) says how much of each. Where there is no such gradient, the rules that
transformers' heads follow stand in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from attnflow.capture.interface import Recorder, run_listening
from attnflow.capture.outcomes import find_logits, find_vector
from attnflow.capture.records import Heads
from attnflow.errors import CaptureError


@dataclass(frozen=True)
class Pooled:
    """What a head reads.

    Attributes:
        positions: positions of the last group.
        weights: how much of each, summing to 1; None for equal parts.
    """

    positions: tuple[int, ...]
    weights: tuple[float, ...] | None = None

    def cropped(self, keep: Sequence[int] | None) -> Pooled | None:
        """The same where only the positions `keep` are left; None if none of them is."""
        if keep is None:
            return self
        place = {position: index for index, position in enumerate(keep)}
        left = [index for index, position in enumerate(self.positions) if position in place]
        weights = None
        if self.weights is not None:
            total = sum(self.weights[index] for index in left)
            weights = tuple(self.weights[index] / total for index in left) if total > 0 else None
        return Pooled(tuple(place[self.positions[index]] for index in left), weights) if left else None


def probed(model: Any, tensors: dict[str, Any], last: int) -> Pooled | None:
    """Finds the pooled positions by one more pass, with gradients from the last attention layer on.

    Args:
        model: a classifier or embedding model, inside `as_found`.
        tensors: its inputs.
        last: number of the call of the last attention layer.

    Returns:
        What it reads, padding counted; None if the gradient says nothing.
    """
    if any(part.is_inference() for part in model.parameters()):  # autograd cannot use such weights
        return None
    recorder = Recorder(model, lambda sight, heads: np.empty((0, 0)), Heads("mean"), probe=last)
    rows: list[torch.Tensor] = []
    with _pooling_heads(model, rows):
        outputs = run_listening(model, tensors, recorder)
    return None if recorder.probed is None else _read(outputs, recorder.probed, rows)


def may_carry(model: Any) -> bool:
    """Whether the pass that is captured may itself carry gradients from its last attention on, for `read_along`."""
    return "Classif" in type(model).__name__ and not any(part.is_inference() for part in model.parameters())


def read_along(model: Any, outputs: Any, recorder: Recorder, last: int) -> Pooled | None:
    """Finds the pooled positions from the pass that was captured, if it carried gradients to its end.

    Args:
        model: the model that ran.
        outputs: what it returned.
        recorder: what listened to it.
        last: as in `probed`.

    Returns:
        As `probed`; None also if that takes a pass of its own.
    """
    if recorder.probed is None or recorder.probed_at != last:
        return None
    if any(isinstance(module, torch.nn.MultiheadAttention) for module in model.modules()):
        return None  # perhaps a pooling head, whose weights `probed` reads
    return _read(outputs, recorder.probed, [])


def _read(outputs: Any, mixed: torch.Tensor, rows: Sequence[torch.Tensor]) -> Pooled | None:
    """The positions at which the output has a gradient with respect to what the last attention layer mixed."""
    logits: Any = find_logits(outputs)
    vector: Any = find_vector(outputs)
    asked = vector if logits is None or logits.ndim != 2 else logits
    if asked is None or not asked.requires_grad:
        return None
    with torch.enable_grad():
        best = asked[0].square().sum() if asked is vector else asked[0, int(asked[0].argmax())]
    (gradient,) = torch.autograd.grad(best, mixed, retain_graph=True, allow_unused=True)
    if gradient is None:
        return None
    strength = gradient.reshape(-1, *gradient.shape[-2:]).abs().sum((0, 2))  # over heads and width
    positions = tuple(int(index) for index in torch.nonzero(strength).flatten())
    whole = [row for row in rows if row.numel() == len(positions) == strength.numel()]
    if whole:
        row = whole[-1].double()
        return Pooled(positions, tuple((row / row.sum()).tolist()))
    return Pooled(positions) if positions else None


@contextlib.contextmanager
def _pooling_heads(model: Any, rows: list[torch.Tensor]) -> Iterator[None]:
    """Keeps the weights of attention that reads all positions with one query: `[keys]`, the mean over heads."""

    def note(module: Any, args: Any, output: Any) -> None:
        weights: Any = output[1] if isinstance(output, tuple) and len(output) > 1 else None
        if torch.is_tensor(weights) and weights.ndim == 3 and weights.shape[:2] == (1, 1):
            rows.append(weights.detach()[0, 0])

    with contextlib.ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, torch.nn.MultiheadAttention):
                stack.callback(module.register_forward_hook(note).remove)
        yield


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
