"""Where positions that are no vocabulary items stand: in a picture, in time, or nowhere known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attnflow.capture.frames import lay_frames
from attnflow.capture.inputs import Prompt
from attnflow.capture.interface import Recorder
from attnflow.capture.patches import lay_patches
from attnflow.capture.placeholders import lay_placeholders
from attnflow.capture.stem import Convolution, Stem
from attnflow.capture.towers import HOLD_MEDIA
from attnflow.media import Medium
from attnflow.trace import Token


def place_positions(
    model: Any, recorder: Recorder, prompt: Prompt, outputs: Any, size: int
) -> tuple[tuple[Token, ...], tuple[Medium, ...]]:
    """Names the positions of a stack whose input is no ids.

    Args:
        model: the model that ran.
        recorder: what listened, a `Stem` among its observers.
        prompt: what the model ran on.
        outputs: what it returned.
        size: number of positions, padding included.

    Returns:
        One token per position, and the pictures and clips that they are parts of.
    """
    convolutions = _convolutions(recorder)
    restored = getattr(outputs, "ids_restore", None)  # a masked autoencoder shuffles its patches
    order = None
    if restored is not None:
        order = restored[0].argsort().tolist()[: size - 1]  # all but the class token
    laid = lay_patches(model, convolutions, prompt.tensors, size, prompt.look, order)
    laid = laid or lay_frames(model, convolutions, prompt.tensors, size, prompt.ruler)
    return laid or (tuple(Token(str(index)) for index in range(size)), ())


def place_within(
    model: Any, recorder: Recorder, prompt: Prompt, tokens: Sequence[Token]
) -> tuple[tuple[Token, ...], tuple[Medium, ...]]:
    """Names the positions of a text that stand for pictures and sound.

    Args:
        model: the model that ran.
        recorder: what listened.
        prompt: what the model ran on.
        tokens: one per position of the text.
    """
    if not HOLD_MEDIA & set(prompt.tensors):
        return tuple(tokens), ()
    return lay_placeholders(model, tokens, prompt.tensors, prompt.look, prompt.ruler, _convolutions(recorder))


def _convolutions(recorder: Recorder) -> list[Convolution]:
    return next((seen.found for seen in recorder.observers if isinstance(seen, Stem)), [])
