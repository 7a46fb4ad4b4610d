"""From text or tensors to what the model is called with, checked."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from attnflow.capture.chat import parse, render
from attnflow.capture.frames import Ruler
from attnflow.capture.interface import accepted
from attnflow.capture.patches import Look
from attnflow.capture.placeholders import placeholder_ids
from attnflow.capture.placement import device_of
from attnflow.capture.state import attribute, quiet
from attnflow.capture.tokens import special_ids, tokens_of_chat, tokens_of_ids, tokens_of_text
from attnflow.capture.towers import language_part, reads_within_text
from attnflow.errors import InputError, OptionError
from attnflow.media import Medium
from attnflow.segments import check_text, is_pair
from attnflow.trace import Token

#: What tokenizers return beside a model's inputs; without effect on a model that takes none of it.
_LEFT_BY_TOKENIZERS = {"token_type_ids", "special_tokens_mask", "offset_mapping", "length"}

#: Inputs that hold a row for each text, also where pictures and sound come in counts of their own.
_OF_TEXT = {
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "mm_token_type_ids",
    "position_ids",
    "inputs_embeds",
}

_POSITIONS = re.compile(r"(^|\.)(\w*pos(ition)?s?_?(emb\w*|enc\w*)|embed_positions|wpe|positions_embed)$")


class VocabularyWarning(UserWarning):
    """The text holds what the model's vocabulary does not."""


class PositionsWarning(UserWarning):
    """The input is longer than anything the model was trained on, though its positions allow it."""


@dataclass(frozen=True)
class Prompt:
    """What goes into the model, before any continuation.

    Attributes:
        tensors: keyword arguments of the model's forward, batch of one.
        ids: input ids of the encoder, or of a decoder-only model; None if the input is not ids.
        tokens: one per id; empty if there are no ids.
        keep: positions that are not padding, or None for all.
        text: the source text, or None.
        answer: in a chat, the turn that a continuation belongs to, and its role; else None.
        media: pictures and clips that tokens are parts of, where tokens are known before the model runs.
        look: how the picture was normalised, where positions are known only after the model ran.
        ruler: how the clip lies in time, likewise.
    """

    tensors: dict[str, Any]
    ids: tuple[int, ...] | None
    tokens: tuple[Token, ...]
    keep: tuple[int, ...] | None = None
    text: str | None = None
    answer: tuple[int, str] | None = None
    media: tuple[Medium, ...] = ()
    look: Look = field(default_factory=Look)
    ruler: Ruler = field(default_factory=Ruler)

    def without_padding(self) -> Prompt:
        """The same prompt with padding cut out before the model runs."""
        if self.keep is None or self.ids is None:
            return self
        keep, size = list(self.keep), len(self.ids)
        tensors = {
            name: value[:, keep]
            if torch.is_tensor(value) and value.ndim >= 2 and value.shape[1] == size
            else value
            for name, value in self.tensors.items()
        }
        return replace(
            self,
            tensors=tensors,
            ids=tuple(self.ids[i] for i in keep),
            tokens=tuple(self.tokens[i] for i in keep),
            keep=None,
        )


def from_text(model: Any, tokenizer: Any, text: Any) -> Prompt:
    """Tokenizes one text.

    Raises:
        InputError: not one text, no tokenizer, or no token but special ones.
    """
    if is_pair(text):
        return _from_pair(model, tokenizer, *text)
    if not isinstance(text, str):
        raise InputError(
            f"text: expected one string, or one chat as a list of messages, found {type(text).__name__}; capture one "
            "text at a time."
        )
    check_text(text)
    if not text.strip():
        raise InputError("text is empty: expected at least one word.")
    _need_tokenizer(model, tokenizer)
    encoding = encode(tokenizer, text)
    tokens = tokens_of_text(tokenizer, text, encoding)
    if all(token.special for token in tokens):
        raise InputError(f"text {text!r} has no tokens but special ones: expected at least one word.")
    _warn_unknown(tokenizer, tokens)
    return Prompt(_tensors(model, encoding), tuple(encoding["input_ids"]), tokens, text=text)


def _warn_unknown(tokenizer: Any, tokens: Sequence[Token]) -> None:
    """Says which parts of a text the model cannot read; their players are named by the text none the less.

    Warns:
        VocabularyWarning: there are some.
    """
    name, id = getattr(tokenizer, "unk_token", None), getattr(tokenizer, "unk_token_id", None)
    if id is None:
        return
    unread = dict.fromkeys(
        repr(token.text.strip()) for token in tokens if token.id == id and token.text.strip() != name
    )
    if unread:
        more = " and more" if len(unread) > 8 else ""
        warnings.warn(
            f"Not in the model's vocabulary: {', '.join([*unread][:8])}{more}. The model "
            f"reads {name} in place of each, so what a player of that name scores is not about the word.",
            VocabularyWarning,
            stacklevel=4,
        )


def _from_pair(model: Any, tokenizer: Any, first: str, second: str) -> Prompt:
    """Tokenizes two texts that a model reads as a pair, such as a premise and a hypothesis.

    The text of the prompt is both with a line break between, so that words of both are players.
    """
    for part in (first, second):
        check_text(part)
        if not part.strip():
            raise InputError("A text of the pair is empty: expected at least one word in each.")
    _need_tokenizer(model, tokenizer)
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"{type(tokenizer).__name__} does not state where its tokens stand, so the texts of a pair cannot be told "
            "apart: use a fast tokenizer, or pass its encoding as inputs=."
        )
    with quiet():
        made = tokenizer(
            first, second, truncation=False, return_special_tokens_mask=True, return_offsets_mapping=True
        )
    encoding = {name: list(value) for name, value in made.items()}
    joint, shift = f"{first}\n{second}", len(first) + 1
    parts = made.sequence_ids()
    encoding["offset_mapping"] = [
        (start + shift, end + shift) if part == 1 else (start, end)
        for part, (start, end) in zip(parts, encoding["offset_mapping"])
    ]
    tokens = tokens_of_text(tokenizer, joint, encoding)
    for number, part in enumerate((first, second)):
        if not any(which == number and not token.special for which, token in zip(parts, tokens)):
            raise InputError(
                f"Text {part!r} of the pair has no tokens but special ones: expected at least one word."
            )
    return Prompt(_tensors(model, encoding), tuple(encoding["input_ids"]), tokens, text=joint)


def from_chat(model: Any, tokenizer: Any, messages: Sequence[Mapping[str, Any]]) -> Prompt:
    """Renders a chat with the tokenizer's template, and tokenizes it.

    A model that generates gets a prompt for the assistant's answer, or for the rest of it if the last message
    is the assistant's. Any other model, such as a classifier, gets the finished chat.

    Raises:
        InputError: no tokenizer or template, messages that are no texts, contents that the template changes so
            that they cannot be located, or nothing but template.
    """
    parsed = parse(messages)
    _need_tokenizer(model, tokenizer)
    generates = bool(getattr(model, "can_generate", lambda: False)())
    with quiet():
        chat = render(tokenizer, parsed, answering=generates)
    encoding = encode(tokenizer, chat.text, add_special_tokens=False)
    tokens = tokens_of_chat(tokenizer, chat, encoding)
    if all(token.template for token in tokens):
        raise InputError("The messages say nothing: expected at least one word beside the chat's template.")
    return Prompt(
        _tensors(model, encoding),
        tuple(encoding["input_ids"]),
        tokens,
        text=chat.text,
        answer=(chat.answer, "assistant"),
    )


def _need_tokenizer(model: Any, tokenizer: Any) -> None:
    if tokenizer is None:
        raise InputError(
            f"text needs a tokenizer, and none was found beside {type(model).__name__}: pass tokenizer=, "
            "or ids as inputs=."
        )


def _tensors(model: Any, encoding: Mapping[str, Any]) -> dict[str, Any]:
    names, device = accepted(model)[0], device_of(model)
    tensors = {
        name: torch.tensor([value], device=device)
        for name, value in encoding.items()
        if name in names and name not in ("offset_mapping", "special_tokens_mask")
    }
    if "input_ids" not in tensors:
        raise InputError(f"{type(model).__name__} takes no input_ids: pass its own inputs as inputs=.")
    return tensors


def encode(tokenizer: Any, text: str, **options: Any) -> dict[str, Any]:
    """Tokenizes without truncation or advice; lists without batch axis."""
    fast = bool(getattr(tokenizer, "is_fast", False))
    if fast:
        options |= {"verbose": False}
    with contextlib.nullcontext() if fast else quiet():
        encoding = tokenizer(
            text, truncation=False, return_special_tokens_mask=True, return_offsets_mapping=fast, **options
        )
    return {name: list(value) for name, value in encoding.items()}


def from_tensors(model: Any, tokenizer: Any, inputs: Any) -> Prompt:
    """Checks inputs that were handed in as tensors, arrays or lists.

    Raises:
        InputError: more than one example, unknown names, nothing but padding.
    """
    if not isinstance(inputs, Mapping) or not inputs:
        raise InputError(
            f"inputs: expected keyword tensors of the model by name, found {type(inputs).__name__}."
        )
    names = accepted(model)[0] | accepted(model.base_model)[0]
    unknown = sorted(name for name in inputs if name not in names and name not in _LEFT_BY_TOKENIZERS)
    if unknown:
        raise InputError(
            f"inputs: {type(model).__name__} takes no {', '.join(unknown)}; it takes "
            f"{', '.join(sorted(names))}."
        )
    loose = "input_ids" in inputs and reads_within_text(model)  # one text may hold several pictures
    loose = loose or any("grid_" in name for name in inputs)  # patches stand in a row of their own
    device = device_of(model)
    tensors = {
        name: _batch_of_one(name, value, device, not loose or name in _OF_TEXT)
        for name, value in inputs.items()
        if name in names
    }
    raw = tensors.get("input_ids")
    if raw is not None and raw.ndim != 2:
        raise InputError(
            f"inputs: {type(model).__name__} reads ids {list(raw.shape)}, expected [1, positions]: of several "
            "codebooks side by side no position has one token."
        )
    ids = tuple(int(id) for id in raw[0]) if raw is not None else None
    keep = None if ids is None else _kept("attention_mask", tensors.get("attention_mask"), len(ids))
    return Prompt(tensors, ids, () if ids is None else tokens_of_ids(tokenizer, ids), keep)


def kept_positions(model: Any, prompt: Prompt, size: int) -> tuple[int, ...] | None:
    """Positions of an input that is no ids that are not padding, or None for all.

    Args:
        model: the model that ran.
        prompt: what it ran on.
        size: number of positions of its attention.

    Raises:
        InputError: padding that cannot be told from the rest by positions.
    """
    if prompt.ids is not None:
        return prompt.keep
    for name in ("attention_mask", "pixel_attention_mask", "padding_mask"):
        mask: Any = prompt.tensors.get(name)
        if not torch.is_tensor(mask) or mask.ndim != 2 or bool(mask.bool().all()):
            continue
        if mask.shape[1] == size:
            return _kept(name, mask, size)
        if hasattr(model, "_get_feature_vector_attention_mask"):
            return _kept(name, model._get_feature_vector_attention_mask(size, mask), size)
        if model.config.model_type == "whisper":  # hears its padding
            continue
        raise InputError(
            f"{name} marks padding at {int((~mask.bool()).sum())} of {mask.shape[1]} places, and "
            f"{type(model).__name__} makes {size} positions of them: pass the input without padding."
        )
    return None


def kept_decoder(tensors: Mapping[str, Any], size: int) -> tuple[int, ...] | None:
    """Decoder positions that `decoder_attention_mask` does not mask out, or None for all."""
    return _kept("decoder_attention_mask", tensors.get("decoder_attention_mask"), size)


def _batch_of_one(name: str, value: Any, device: torch.device, one: bool = True) -> Any:
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    try:
        tensor = value if torch.is_tensor(value) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError) as error:
        raise InputError(f"inputs[{name!r}]: expected a tensor, found {type(value).__name__}.") from error
    along = name in _OF_TEXT or name.endswith(("_ids", "_mask"))
    if tensor.ndim == 1 and one and (along or tensor.shape[0] > 1):  # else one number for the one example
        tensor = tensor.unsqueeze(0)
    if one and tensor.ndim and tensor.shape[0] != 1:
        raise InputError(
            f"inputs[{name!r}]: found a batch of {tensor.shape[0]}, expected one example; capture them one "
            "by one."
        )
    if 0 in tensor.shape:
        raise InputError(f"inputs[{name!r}] is empty: found shape {list(tensor.shape)}.")
    tensor = tensor.to(device)
    # not the caller's own tensor: gradients are asked of it
    return tensor.detach().clone() if tensor.is_floating_point() else tensor


def _kept(name: str, mask: Any, size: int | None) -> tuple[int, ...] | None:
    if not torch.is_tensor(mask) or mask.ndim != 2:
        return None
    if size is not None and mask.shape[1] != size:
        raise InputError(f"{name} has {mask.shape[1]} positions, expected {size} as in the ids.")
    keep = tuple(int(i) for i in torch.nonzero(mask[0]).flatten())
    if not keep:
        raise InputError(f"{name} masks every position: expected at least one that is not padding.")
    return None if len(keep) == mask.shape[1] else keep


def check_ids(model: Any, ids: Sequence[int]) -> None:
    """Checks that the vocabulary has every id.

    Raises:
        InputError: it does not; most often the tokenizer is another model's.
    """
    placeholders = {*placeholder_ids(model, "image"), *placeholder_ids(model, "audio")}
    try:
        size = getattr(model.get_input_embeddings(), "num_embeddings", None)
    except (AttributeError, NotImplementedError):  # families that embed in their own way check on their own
        return
    ids = [id for id in ids if id not in placeholders]
    if size is not None and ids and not 0 <= min(ids) <= max(ids) < size:
        worst = max(ids) if max(ids) >= size else min(ids)
        raise InputError(
            f"Token id {worst} is not in the vocabulary of {type(model).__name__} (ids 0 to {size - 1}): "
            "the tokenizer must be the one of this model."
        )


def check_not_only_special(tokenizer: Any, prompt: Prompt) -> None:
    """Refuses ids of which all are special.

    Raises:
        InputError: nothing is left to explain.
    """
    special = special_ids(tokenizer)
    if prompt.ids is not None and special and all(id in special for id in prompt.ids):
        raise InputError("inputs has no tokens but special ones: expected at least one word.")


def check_length(model: Any, stack: torch.nn.Module, size: int, what: str = "input") -> None:
    """Checks a sequence against the positions that the model has.

    Args:
        model: the whole model, for messages and configuration.
        stack: the part whose positions count: the encoder, the decoder, or the model itself.
        size: number of positions wanted.
        what: how messages name the sequence.

    Raises:
        InputError: the model has no position for some of them.

    Warns:
        PositionsWarning: positions are rotary or relative, and the input is longer than in training.
    """
    stack = language_part(stack)[1]
    limit = positions_limit(stack)
    if limit is not None and size > limit:
        raise InputError(
            f"The {what} has {size} tokens, but {type(model).__name__} has positions for {limit}: shorten "
            "it; nothing is cut off silently."
        )
    if limit is None:
        trained = getattr(stack, "config", model.config)
        longest = getattr(trained, "max_position_embeddings", None) or getattr(trained, "n_positions", None)
        if isinstance(longest, int) and 0 < longest < size:
            warnings.warn(
                f"The {what} has {size} tokens; {type(model).__name__} was trained on up to {longest}, and "
                "attention beyond that may mean little.",
                PositionsWarning,
                stacklevel=4,
            )


def positions_limit(stack: torch.nn.Module) -> int | None:
    """The largest number of positions that this stack's tables of positions allow, or None without tables."""
    limits = []
    read = getattr(stack, "main_input_name", "input_ids")
    modules = list(stack.named_modules())
    elsewhere = tuple(  # towers for pictures or sound, whose tables are not for text
        f"{name}."
        for name, module in modules
        if name and attribute(module, "main_input_name") in {"pixel_values", "input_features"} - {read}
    )
    for name, module in modules:
        for own, buffer in module._buffers.items():
            if own in ("embed_positions", "pos_encoding") and buffer is not None and buffer.ndim == 2:
                limits.append(buffer.shape[0])
        if (
            isinstance(module, torch.nn.Embedding)
            and _POSITIONS.search(name)
            and not name.startswith(elsewhere)
        ):
            taken = getattr(module, "offset", None)
            if taken is None:
                taken = 0 if module.padding_idx is None or _sinusoidal(module) else module.padding_idx + 1
            limits.append(module.num_embeddings - int(taken))
    return min(limits) if limits else None


def _sinusoidal(module: torch.nn.Module) -> bool:
    return "Sinusoidal" in type(module).__name__


def refuse_both(text: Any, inputs: Any) -> None:
    """Checks that exactly one of text and inputs was given.

    Raises:
        OptionError: both or neither.
    """
    if text is not None and inputs is not None:
        raise OptionError("text and inputs were both given: expected one of them.")
    if text is None and inputs is None:
        raise OptionError("Neither text nor inputs was given: expected one of them.")
