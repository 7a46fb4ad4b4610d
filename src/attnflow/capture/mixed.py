"""From pictures and sound, alone or within a text, to what the model is called with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch

from attnflow.capture.chat import Chat, held, is_chat, parse, render
from attnflow.capture.frames import Ruler, read_clip
from attnflow.capture.images import read_images
from attnflow.capture.inputs import Prompt
from attnflow.capture.interface import accepted, first_line
from attnflow.capture.patches import Look
from attnflow.capture.placeholders import placeholder_ids
from attnflow.capture.placement import device_of
from attnflow.capture.readers import Readers
from attnflow.capture.state import quiet
from attnflow.capture.tokens import tokens_around
from attnflow.capture.towers import SENSES, language_part, reads_within_text
from attnflow.errors import InputError, OptionError
from attnflow.trace import Token

#: Processors that put their pictures in front of the text themselves.
_PLACES_ITSELF = ("PaliGemma", "Blip2", "InstructBlip")


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


def check_senses(model: Any, senses: Collection[str]) -> None:
    """Checks that a model takes what was given, alone or within a text.

    Raises:
        InputError: it does not.
    """
    for sense in sorted(set(senses) & {"image", "audio"}):
        if not accepted(model)[0] & set(SENSES[sense]):
            _check_sense(model, sense)


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
    return value.to(device_of(model), model.dtype if value.is_floating_point() else None)


def from_mixed(model: Any, readers: Readers, text: Any, image: Any, audio: Any) -> Prompt:
    """Preprocesses a text, or a chat, in which pictures or a clip stand.

    Raises:
        InputError: the model reads nothing within a text; no processor; a text that does not say where; a chat
            whose parts do not fit what was given.
    """
    name = type(model).__name__
    check_senses(model, {sense for sense, thing in (("image", image), ("audio", audio)) if thing is not None})
    if not reads_within_text(model) and not language_part(model)[0]:
        raise InputError(
            f"{name} reads no text beside {'an image' if audio is None else 'sound'}: pass one, or a model that "
            "reads both, such as LlavaForConditionalGeneration."
        )
    joint = readers.with_part("joint", model).joint
    tokenizer = readers.tokenizer
    chat = None
    if is_chat(text):
        inside = held(text)
        image, audio = (
            _either(inside[sense], given, sense) for sense, given in (("image", image), ("audio", audio))
        )
        with quiet():
            chat = render(joint, parse(text), answering=bool(getattr(model, "can_generate", lambda: False)()))
        text = chat.text
    pictures = None if image is None else read_images(image)
    wave = None if audio is None else read_clip(readers.with_part("sounds", model).sounds, audio, model)
    marks = {
        sense: [
            mark
            for mark in (getattr(joint, f"{sense}_token", None), getattr(joint, "boi_token", None))
            if mark
        ]
        for sense in ("image", "audio")
    }
    _check_marks(joint, text, marks["image"], 0 if pictures is None else len(pictures))
    options: dict[str, Any] = {"text": [text]}
    if pictures is not None:
        options["images"] = [pictures]
    if wave is not None:
        options |= {"audio": [wave.samples], "sampling_rate": wave.rate}
    if chat is not None:
        options["add_special_tokens"] = False
    encoding = _called(joint, **options)
    names, _ = accepted(model)
    tensors = {key: on_device(model, value) for key, value in encoding.items() if key in names}
    ids = tuple(int(id) for id in tensors["input_ids"][0])
    placeholders = placeholder_ids(model, "image") | placeholder_ids(model, "audio")
    tokens = tokens_around(tokenizer, text, ids, placeholders, [*marks["image"], *marks["audio"]])
    if chat is not None:
        tokens = tuple(_spoken(token, chat, placeholders) for token in tokens)
    raw = "input_values" in tensors
    return Prompt(
        tensors,
        ids,
        tokens,
        text=text,
        answer=None if chat is None else (chat.answer, "assistant"),
        look=Look.of(readers.images),
        ruler=Ruler.of(readers.sounds, raw, wave),
    )


def _either(inside: list[Any], given: Any, sense: str) -> Any:
    if inside and given is not None:
        raise OptionError(
            f"The chat holds {sense} parts of its own, and {sense}= was given too: expected one of them."
        )
    if not inside:
        return given
    return inside if sense == "image" else inside[0]


def _check_marks(joint: Any, text: str, marks: list[str], count: int) -> None:
    """Checks that a text says where its pictures stand, if its processor does not put them somewhere itself."""
    if not marks or type(joint).__name__.startswith(_PLACES_ITSELF):
        return
    found = max(text.count(mark) for mark in marks)
    if found != count:
        raise InputError(
            f"The text has {found} times {marks[0]!r}, and {count} images were given: write {marks[0]!r} where each "
            "stands, or pass a chat."
        )


def _spoken(token: Token, chat: Chat, placeholders: Collection[int]) -> Token:
    """A token with the message that it is of; the template's own where it is of none."""
    if token.id in placeholders:
        return token
    if token.span is None:
        return replace(token, template=True)
    owner = chat.speaker(*token.span)
    if owner is None:
        return replace(token, template=True, turn=chat.turn(token.span[0]))
    return replace(token, role=chat.messages[owner].role, turn=owner)
