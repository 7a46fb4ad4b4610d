"""What the caller gave: text, a chat, a picture, a clip or tensors; and the part of the model that reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from attnflow.capture.chat import is_chat, parse
from attnflow.capture.inputs import (
    Prompt,
    check_not_only_special,
    from_chat,
    from_tensors,
    from_text,
)
from attnflow.capture.interface import accepted
from attnflow.capture.mixed import check_senses, from_image, from_mixed, from_sound, with_rulers
from attnflow.capture.placeholders import placeholder_ids
from attnflow.capture.readers import readers
from attnflow.capture.towers import SENSES, is_dual, senses_of, tower
from attnflow.errors import InputError, OptionError
from attnflow.media import is_medium


@dataclass(frozen=True, eq=False)
class Given:
    """The input of one explanation; at least one is not None, and tensors come alone.

    Attributes:
        text: a text or a chat; or a picture or clip whose kind the model tells.
        image: a picture, or several.
        audio: a clip.
        inputs: keyword tensors.
    """

    text: Any = None
    image: Any = None
    audio: Any = None
    inputs: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, text: Any, image: Any, audio: Any, inputs: Any) -> Given:
        """Checks that what was given goes together.

        Raises:
            OptionError: nothing, or tensors beside something else.
        """
        named = {"text": text, "image": image, "audio": audio, "inputs": inputs}
        given = [name for name, value in named.items() if value is not None]
        if not given:
            raise OptionError("Neither text nor inputs was given, nor image or audio: expected one of them.")
        if inputs is not None and len(given) > 1:
            raise OptionError(f"{given[0]} and inputs were both given: expected one of them.")
        return cls(text, image, audio, inputs)

    def sorted_for(self, model: Any) -> Given:
        """With a picture or clip that came as `text` in its own place.

        Raises:
            InputError: the model reads no such thing.
            OptionError: it was given twice.
        """
        if self.text is None or is_chat(self.text):
            return self
        names = accepted(model)[0]
        sees, hears = (bool(names & set(SENSES[sense])) for sense in ("image", "audio"))
        reads = bool(names & set(SENSES["text"])) or ("decoder_input_ids" in names and not sees and not hears)
        if isinstance(self.text, str) and (reads or not (sees or hears)):
            return self
        if not isinstance(self.text, str) and not is_medium(self.text):
            return self
        if isinstance(self.text, str) and not os.path.isfile(self.text):
            what = "images" if sees else "sound"
            raise InputError(
                f"{type(model).__name__} reads {what}, not text, and there is no file {self.text[:60]!r}: pass the "
                f"path of one, or {'a PIL image or an array' if sees else '(samples, rate)'}."
            )
        sound = isinstance(self.text, (tuple, Mapping)) or (hears and not sees)
        sense = "audio" if sound else "image"
        if getattr(self, sense) is not None:
            raise OptionError(f"text and {sense} both hold {'sound' if sound else 'an image'}: expected one.")
        return replace(self, text=None, **{sense: self.text})

    @property
    def senses(self) -> set[str]:
        """What is there to read: text, image, audio."""
        if self.inputs is not None:
            return senses_of(self.inputs)
        return {sense for sense in ("text", "image", "audio") if getattr(self, sense) is not None}


def _check_nothing_missing(model: Any, prompt: Prompt) -> None:
    """Checks that a text alone names no picture or sound.

    Raises:
        InputError: it does.
    """
    for sense, verb in (("image", "no image"), ("audio", "no sound")):
        places = placeholder_ids(model, sense) & set(prompt.ids or ())
        if places and accepted(model)[0] & set(SENSES[sense]):
            raise InputError(
                f"The text has a place for {'an image' if sense == 'image' else 'sound'}, and {verb} was given to "
                f"{type(model).__name__}: pass {sense}=, or leave the place out."
            )


def parts_of(chat: Any) -> list[str]:
    """The kinds of the parts of a chat that are no text."""
    return [sense for message in parse(chat) for sense in message.senses if sense != "text"]


def prepare(
    whole: Any, name: str, tokenizer: Any, processor: Any, given: Given, trust: bool
) -> tuple[Any, Any, Prompt]:
    """Finds the part of the model that reads what was given, and what it is called with.

    Args:
        whole: the model.
        name: where it was loaded from, or "".
        tokenizer: a tokenizer or processor, or None.
        processor: a processor, its part, its place, or None.
        given: the input.
        trust: whether code that comes with a checkpoint may run.

    Returns:
        The part to run, the tokenizer or None, and the prompt.

    Raises:
        InputError: input that the model does not read.
        OptionError: input that contradicts itself.
    """
    found = readers(name, tokenizer, processor, trust)
    given = given.sorted_for(whole)
    model = whole
    if is_dual(whole):
        model = tower(whole, given.senses)
        if given.inputs is not None:
            mine = accepted(model)[0]
            given = replace(given, inputs={key: value for key, value in given.inputs.items() if key in mine})
    prompt: Prompt
    if given.inputs is not None:
        prompt = with_rulers(model, found, from_tensors(model, found.tokenizer, given.inputs))
        check_not_only_special(found.tokenizer, prompt)
    elif is_chat(given.text) and any(parts_of(given.text)):
        prompt = from_mixed(model, found, given.text, given.image, given.audio)
    elif given.image is None and given.audio is None:
        make = from_chat if is_chat(given.text) else from_text
        prompt = make(model, found.tokenizer, given.text)
        _check_nothing_missing(model, prompt)
    elif given.text is None and given.audio is None:
        prompt = from_image(model, found, given.image)
    elif given.text is None and given.image is None:
        prompt = from_sound(model, found, given.audio)
    else:
        if given.text is None:
            check_senses(model, given.senses)
            raise InputError(
                f"{type(model).__name__} reads image and audio within a text: pass text, or a chat."
            )
        prompt = from_mixed(model, found, given.text, given.image, given.audio)
    return model, found.tokenizer, prompt
