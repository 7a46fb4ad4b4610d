"""From pictures and sound, alone or within a text, to what the model is called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from attnflow.capture.frames import Ruler, read_clip
from attnflow.capture.images import read_images
from attnflow.capture.inputs import Prompt
from attnflow.capture.interface import accepted, first_line
from attnflow.capture.patches import Look
from attnflow.capture.readers import Readers
from attnflow.capture.state import quiet
from attnflow.capture.towers import SENSES
from attnflow.errors import InputError


def from_image(model: Any, readers: Readers, image: Any) -> Prompt:
    """Preprocesses a picture for a model that reads nothing else.

    Raises:
        InputError: the model reads no pictures, or none without text; no image processor; no picture.
    """
    _check_sense(model, "image")
    processor = readers.with_part("images", model).images
    pictures = read_images(image)
    if len(pictures) > 1:
        raise InputError(
            f"image: found {len(pictures)} pictures, and {type(model).__name__} reads one: explain them one by one."
        )
    encoding = _called(processor, images=pictures)
    return Prompt(_fitting(model, processor, encoding), None, (), look=Look.of(processor))


def from_sound(model: Any, readers: Readers, audio: Any) -> Prompt:
    """Preprocesses a clip for a model that hears nothing else.

    Raises:
        InputError: the model hears nothing, or nothing without text; no feature extractor; no sound, or too long.
    """
    _check_sense(model, "audio")
    extractor = readers.with_part("sounds", model).sounds
    wave = read_clip(extractor, audio, model)
    encoding = _called(extractor, wave.samples, sampling_rate=wave.rate)
    tensors = _fitting(model, extractor, encoding)
    raw = "input_values" in tensors and tensors["input_values"].ndim == 2
    return Prompt(tensors, None, (), ruler=Ruler.of(extractor, raw, wave))


def with_rulers(model: Any, readers: Readers, prompt: Prompt) -> Prompt:
    """A prompt made of the caller's tensors, with what is known of how they were made."""
    senses = [name for name in ("input_features", "input_values") if name in prompt.tensors]
    if senses:
        values = prompt.tensors[senses[0]]
        raw = torch.is_tensor(values) and values.ndim == 2
        return replace(prompt, ruler=Ruler.of(readers.sounds, raw))
    return replace(prompt, look=Look.of(readers.images))


def _check_sense(model: Any, sense: str) -> None:
    names = accepted(model)[0]
    if not names & set(SENSES[sense]):
        verb = {"image": "reads no images", "audio": "hears no sound"}[sense]
        takes = ", ".join(sorted(names & {name for group in SENSES.values() for name in group})) or "neither"
        raise InputError(f"{type(model).__name__} {verb}: it takes {takes}.")
    if getattr(model, "main_input_name", "") == "input_ids":
        raise InputError(
            f"{type(model).__name__} reads {'an image' if sense == 'image' else 'sound'} within a text: pass text, or "
            "a chat, beside it."
        )


def _called(processor: Any, *args: Any, **options: Any) -> Mapping[str, Any]:
    with quiet():
        try:
            found: Mapping[str, Any] = processor(*args, return_tensors="pt", **options)
        except Exception as error:  # what a processor raises is its own affair
            raise InputError(
                f"{type(processor).__name__} cannot read this input: {first_line(error)}."
            ) from error
    return found


def _fitting(model: Any, processor: Any, encoding: Mapping[str, Any]) -> dict[str, Any]:
    """What the model takes of an encoding, on its device and in its dtype.

    Raises:
        InputError: the processor is another model's.
    """
    names, _ = accepted(model)
    wanted = {name for sense in ("image", "audio") for name in SENSES[sense]}
    if not names & wanted & set(encoding):
        raise InputError(
            f"{type(processor).__name__} makes {', '.join(sorted(encoding))}, and {type(model).__name__} takes "
            f"{', '.join(sorted(names & wanted)) or 'none of it'}: the processor must be the one of this model."
        )
    return {name: on_device(model, value) for name, value in encoding.items() if name in names}


def on_device(model: Any, value: Any) -> Any:
    """A tensor where the model is, floating values in its dtype."""
    if not torch.is_tensor(value):
        return value
    return value.to(model.device, model.dtype if value.is_floating_point() else None)
