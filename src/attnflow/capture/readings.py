"""An input as a PyTorch model reads it, and the names of its positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from attnflow.capture.custom import CustomModel, Reading
from attnflow.capture.decisions import Ending
from attnflow.capture.generation import Course
from attnflow.capture.patches import Look, lay_patches
from attnflow.capture.roles import Roles
from attnflow.capture.stand_in import StandIn
from attnflow.capture.stem import Stem
from attnflow.errors import InputError, OptionError
from attnflow.media import Medium
from attnflow.trace import Architecture, Token

Sides = tuple[tuple[Token, ...], tuple[Token, ...]]


def read(
    model: torch.nn.Module, custom: CustomModel, tokenizer: Any, text: Any, target_text: Any, inputs: Any
) -> Reading:
    """The input as the model is called with it.

    Raises:
        OptionError: not exactly one of text and inputs.
        InputError: text that nobody told how to read, or inputs that no model can be called with.
    """
    cls = type(model).__name__
    if (text is None) == (inputs is None):
        raise OptionError(
            f"{'Neither text nor inputs was' if text is None else 'text and inputs were both'} given: expected one of "
            "them."
        )
    if text is not None:
        if custom.read is None:
            raise InputError(
                f"text: attnflow does not know how {cls} reads it. Pass its tensors as inputs=, or tell it once with "
                "attnflow.register_model(..., read=...)."
            )
        reading = custom.read(model, tokenizer, text, target_text)
        if not isinstance(reading, Reading):
            raise InputError(
                f"The read function registered for {cls} returned {type(reading).__name__}, expected a Reading."
            )
        inputs = reading.inputs
    elif target_text is not None:
        raise OptionError("target_text goes with text: with inputs, pass the decoder's tensors among them.")
    else:
        reading = Reading(inputs)
    if torch.is_tensor(inputs) or isinstance(inputs, np.ndarray):
        inputs = (inputs,)
    if not isinstance(inputs, (Mapping, Sequence)) or isinstance(inputs, str) or not inputs:
        raise InputError(
            f"inputs: expected what {cls} is called with, as a mapping by name, a tuple or a tensor; found "
            f"{type(inputs).__name__}."
        )
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if isinstance(inputs, Mapping):
        return replace(reading, inputs={name: _usable(value, device) for name, value in inputs.items()})
    return replace(reading, inputs=tuple(_usable(value, device) for value in inputs))


def _usable(value: Any, device: torch.device) -> Any:
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if not torch.is_tensor(value):
        return value
    value = value.to(device)
    # not the caller's own tensor: gradients are asked of it
    return value.detach().clone()


def laid_out(
    stand_in: StandIn, model: torch.nn.Module, reading: Reading, roles: Roles, stem: Stem
) -> tuple[Reading, tuple[Medium, ...]]:
    """Places positions in the picture that the model read, if it read one and nobody named them.

    Returns:
        The reading, with tokens for patches, and the picture.
    """
    given = reading.inputs
    items = given.values() if isinstance(given, Mapping) else given
    pictures = [x for x in items if torch.is_tensor(x) and x.is_floating_point() and x.ndim == 4]
    size = roles.stacks.padded[0]
    if reading.tokens or len(pictures) != 1 or size is None or tuple(pictures[0].shape[:2]) != (1, 3):
        return reading, ()
    known = getattr(model, "pretrained_cfg", None) or {}  # timm
    mean, std = known.get("mean"), known.get("std")
    look = Look() if mean is None or std is None else Look(tuple(mean), tuple(std))
    laid = lay_patches(stand_in, stem.found, {"pixel_values": pictures[0]}, size, look)
    return (reading, ()) if laid is None else (replace(reading, tokens=laid[0]), laid[1])


def ending_of(model: torch.nn.Module, reading: Reading, roles: Roles) -> tuple[Ending, Sides]:
    """The last group, and the tokens of both sides, padding cropped."""
    n, m = roles.stacks.padded
    enc, dec = bool(roles.stacks.encoder), bool(roles.stacks.decoder)
    architecture: Architecture = "encoder-decoder" if enc and dec else "decoder" if dec else "encoder"
    only = architecture == "decoder"
    source = _tokens(model, reading, reading.tokens, n, roles.keep[0], ("src", "input"), None) if enc else ()
    prompt = reading.prompt
    if dec:
        names = reading.tokens if only else reading.decoder_tokens
        hints = ("input",) if only else ("tgt", "trg", "target", "decoder")
        full = m or 0
        prompt = full if prompt is None else prompt
        target = _tokens(model, reading, names, m, roles.keep[1], hints, prompt)
        prompt = sum(p < prompt for p in (range(full) if roles.keep[1] is None else roles.keep[1]))
    else:
        target = ()
    last = target if dec else source
    ids = tuple(token.id for token in last)
    known = None if any(id is None for id in ids) else tuple(int(id) for id in ids if id is not None)
    course = Course(known, prompt or len(last), tuple(reading.decided)) if dec else None
    return Ending(architecture, last, known, course, None, reading.text), (source, target)


def _tokens(
    model: torch.nn.Module,
    reading: Reading,
    given: Sequence[str | Token],
    size: int | None,
    keep: Sequence[int] | None,
    hints: tuple[str, ...],
    prompt: int | None,
) -> tuple[Token, ...]:
    """Names the positions of one side: as given, by the ids that the model read, or by their index."""
    size = size or 0
    if given:
        if len(given) != size:
            raise InputError(
                f"The reading of {type(model).__name__} names {len(given)} positions, but its attention has {size}."
            )
        tokens = [item if isinstance(item, Token) else Token(str(item)) for item in given]
    else:
        ids = _ids(reading.inputs, size, hints)
        tokens = [Token(str(i)) for i in range(size)] if ids is None else [Token(str(id), id) for id in ids]
    if prompt is not None:
        tokens = [replace(token, generated=index >= prompt) for index, token in enumerate(tokens)]
    return tuple(tokens) if keep is None else tuple(tokens[index] for index in keep)


def _ids(inputs: Any, size: int, hints: tuple[str, ...]) -> list[int] | None:
    """The ids at each position, if one integer input has that many."""
    items = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
    fit = {
        str(name): value
        for name, value in items
        if torch.is_tensor(value)
        and value.numel() == size
        and not value.is_floating_point()
        and value.dtype != torch.bool
        and "mask" not in str(name)
    }
    if len(fit) > 1:
        fit = {name: value for name, value in fit.items() if name.startswith(hints) or name == "input_ids"}
    if len(fit) != 1:
        return None
    return [int(id) for id in next(iter(fit.values())).reshape(-1)]
