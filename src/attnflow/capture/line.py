"""The line of inputs that integrated gradients are averaged over.

Points run from a baseline embedding to the input's own, in equal steps, the input last; the baseline itself
is left out. Positions that hold special tokens keep their embedding: they are the frame that the model was
trained to see around any input, and a sequence of mask tokens without it is not an empty input to it. In an
encoder-decoder the encoder's input moves; what the decoder reads is part of the question.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from attnflow.errors import CaptureError, OptionError, unknown_name

BASELINES = ("mask", "pad", "zero")


@dataclass(frozen=True)
class Line:
    """The way from the baseline to the input.

    Attributes:
        embedding: the module whose output moves, at its first call of a pass.
        base: `[width]`, the baseline's embedding, or zero.
        moving: per position, padding included, whether it moves.
        name: what provenance calls the baseline.
    """

    embedding: torch.nn.Module
    base: torch.Tensor
    moving: tuple[bool, ...]
    name: str

    @contextlib.contextmanager
    def at(self, alpha: float) -> Iterator[None]:
        """Puts passes in this block at `base + alpha * (input - base)`."""
        calls = 0

        def move(module: torch.nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
            nonlocal calls
            calls += 1
            if calls > 1:
                return None
            if output.ndim != 3 or output.shape[:2] != (1, len(self.moving)):
                raise CaptureError(
                    f"The token embeddings have shape {list(output.shape)}, expected [1, {len(self.moving)}, "
                    "width]: steps=1 needs none."
                )
            mask = torch.tensor(self.moving, device=output.device)[None, :, None]
            return torch.where(mask, self.base + alpha * (output - self.base), output)

        handle = self.embedding.register_forward_hook(move)
        try:
            yield
        finally:
            handle.remove()
        if not calls:
            raise CaptureError("The token embeddings were not read in this pass: steps=1 needs none.")


def parse_steps(steps: Any, baseline: Any) -> None:
    """Checks the options.

    Raises:
        OptionError: not a number of steps from 1 up, an unknown baseline, or a baseline without steps.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise OptionError(f"steps={steps!r}: expected a number of points on the line from 1 up.")
    if baseline is not None and baseline not in BASELINES:
        raise unknown_name("baseline", baseline, BASELINES)
    if baseline is not None and steps == 1:
        raise OptionError(
            f"baseline={baseline!r} has no effect with steps=1: a line of one point is the input."
        )


def line_to(
    model: Any, encoder: Any, tokenizer: Any, baseline: str | None, moving: Sequence[bool] | None
) -> Line:
    """Lays the line to an input.

    Args:
        model: the whole model.
        encoder: the part whose embedding moves: the encoder of an encoder-decoder, else the model.
        tokenizer: knows mask and padding tokens; may be None.
        baseline: "mask", "pad", "zero", or None: the first of them that there is.
        moving: per position whether it moves; None if the input is no ids.

    Raises:
        OptionError: the baseline does not exist, or the input is not made of tokens.
    """
    cls = type(model).__name__
    try:
        embedding = encoder.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        embedding = None
    if moving is None or not isinstance(embedding, torch.nn.Module):
        raise OptionError(f"steps needs input ids that {cls} embeds, to lay a line to: use steps=1.")
    ids = {
        "mask": getattr(tokenizer, "mask_token_id", None),
        "pad": getattr(tokenizer, "pad_token_id", None),
    }
    if ids["pad"] is None and isinstance(getattr(model.config, "pad_token_id", None), int):
        ids["pad"] = model.config.pad_token_id
    chosen = baseline or next((name for name, id in ids.items() if id is not None), "zero")
    weight = embedding.weight
    if chosen == "zero":
        width = int(getattr(embedding, "embedding_dim", weight.shape[-1]))
        return Line(
            embedding, torch.zeros(width, dtype=weight.dtype, device=weight.device), tuple(moving), "zero"
        )
    id = ids[chosen]
    if id is None:
        raise OptionError(
            f"baseline={chosen!r}: there is no {'mask' if chosen == 'mask' else 'padding'} token here; expected "
            "'zero', or another that exists."
        )
    with torch.no_grad():
        base = embedding.forward(torch.tensor([[id]], device=weight.device))[0, 0]
    return Line(embedding, base, tuple(moving), f"{chosen} (id {id})")
