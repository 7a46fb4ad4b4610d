"""What the decoder reads and which tokens it decides: prompt, generated tokens, target text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import GenerationMixin

from attnflow.capture.inputs import Prompt, check_ids, check_length, encode
from attnflow.capture.interface import accepted, first_line
from attnflow.capture.placement import device_of
from attnflow.capture.state import quiet
from attnflow.capture.tokens import special_ids
from attnflow.capture.towers import reads_within_text
from attnflow.errors import CaptureError, InputError, OptionError, unknown_name
from attnflow.segments import check_text

_OWNED = {"max_new_tokens", "max_length", "return_dict_in_generate", "input_ids", "inputs", "attention_mask"}
#: Options of Whisper's own `generate` that become tokens of the prefix.
_SPOKEN = frozenset({"language", "task", "return_timestamps"})


@dataclass(frozen=True)
class Course:
    """The decoder's side of a pass.

    Attributes:
        given: ids of every decoder position, prompt first; None if the model makes its own decoder input.
        prompt: number of leading positions that were given rather than decoded.
        decided: ids of the tokens decided at positions `prompt - 1`, `prompt`, ... as far as they are known.
    """

    given: tuple[int, ...] | None
    prompt: int
    decided: tuple[int, ...] = ()


@dataclass(frozen=True)
class Wish:
    """What `capture` was asked to continue the prompt with.

    Attributes:
        generate: number of tokens to decode, 0 for none.
        target_text: text to teacher-force, or None.
        options: passed on to the model's `generate`.
        seed: for sampling.
    """

    generate: int = 0
    target_text: str | None = None
    options: Mapping[str, Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.generate, bool) or not isinstance(self.generate, int) or self.generate < 0:
            raise OptionError(f"generate={self.generate!r}: expected a number of tokens from 0 up.")
        if self.generate and self.target_text is not None:
            raise OptionError("generate= and target_text= were both given: expected one of them.")
        if self.target_text is not None and not isinstance(self.target_text, str):
            raise InputError(f"target_text: expected a string, found {type(self.target_text).__name__}.")
        if self.target_text is not None:
            check_text(self.target_text)
        if self.target_text is not None and not self.target_text.strip():
            raise InputError("target_text is empty: expected at least one word.")
        if self.options and not self.generate:
            raise OptionError("generate_options was given without generate=N.")
        owned = sorted(_OWNED & set(self.options or ()))
        if owned:
            raise OptionError(f"generate_options: {', '.join(owned)} is set by capture itself; leave it out.")
        if (self.options or {}).get("num_return_sequences", 1) != 1:
            raise OptionError("generate_options: num_return_sequences must be 1.")

    @property
    def continues(self) -> bool:
        """Whether there is anything beyond the prompt."""
        return bool(self.generate) or self.target_text is not None


def decoder_course(model: Any, tokenizer: Any, prompt: Prompt, wish: Wish) -> tuple[Prompt, Course]:
    """Continues the prompt of a decoder-only model.

    Returns:
        The prompt, without padding and trailing end token if it is continued, and the course.

    Raises:
        OptionError: the model decodes nothing.
        InputError: no ids to continue, or more positions than the model has.
    """
    if not wish.continues:
        size = len(prompt.ids or ())
        return prompt, Course(prompt.ids, size)
    if prompt.ids is None:
        raise InputError("generate and target_text continue input_ids: expected them in inputs.")
    prompt = _without_end(prompt.without_padding(), tokenizer)
    ids = prompt.ids or ()
    if wish.target_text is not None:
        _need_tokenizer(tokenizer)
        decided = _target_after(tokenizer, prompt, wish.target_text)
    else:
        _need_generation(model)
        check_length(model, model, len(ids) + wish.generate - 1)
        tensors = {**prompt.tensors}
        tensors.setdefault("attention_mask", torch.ones_like(tensors["input_ids"]))
        decided = _generate(model, tensors, wish)
        decided = decided[len(ids) :] if decided[: len(ids)] == ids else decided
    check_ids(model, decided)
    return prompt, Course((*ids, *decided[:-1]), len(ids), decided)


def continued(model: Any, prompt: Prompt, course: Course) -> dict[str, Any]:
    """The tensors of a decoder-only pass over prompt and continuation."""
    given = course.given or ()
    more = len(given) - course.prompt
    if more <= 0:
        return prompt.tensors
    tensors = dict(prompt.tensors)
    raw = tensors["input_ids"]
    tail = torch.tensor([given[course.prompt :]], dtype=raw.dtype, device=raw.device)
    tensors["input_ids"] = torch.cat([raw, tail], dim=1)
    for name, value in prompt.tensors.items():
        if name == "input_ids" or not torch.is_tensor(value) or value.shape[1:] != raw.shape[1:]:
            continue
        last = value[:, -1:].expand(1, more)
        if name.endswith("token_type_ids") and reads_within_text(model):
            # What is decoded is text; in PaliGemma that is a type of its own, read from left to right.
            last = torch.full_like(last, int(model.config.model_type == "paligemma"))
        step = (
            torch.arange(1, more + 1, device=value.device, dtype=value.dtype) if name == "position_ids" else 0
        )
        tensors[name] = torch.cat([value, last + step], dim=1)
    return tensors


def encoder_decoder_course(model: Any, tokenizer: Any, prompt: Prompt, wish: Wish) -> Course:
    """Finds what the decoder of an encoder-decoder reads.

    Raises:
        OptionError: the model decodes nothing.
        InputError: no start token is known, or more positions than the decoder has.
    """
    given = prompt.tensors.get("decoder_input_ids")
    books = getattr(getattr(decoder_of(model), "config", None), "num_codebooks", 1)
    if isinstance(books, int) and books > 1:
        raise InputError(
            f"{type(model).__name__}: its decoder reads {books} codebooks side by side, which its configuration "
            "(num_codebooks) says, so that a position has no one token; expected one token at each. Its text encoder "
            "can be captured by itself: pass model.text_encoder."
        )
    if decodes_at_once(model):
        if wish.continues:
            raise OptionError(
                f"{type(model).__name__} decodes object queries, all at once: leave out generate and target_text."
            )
        return Course(None, 1)
    if given is not None and (given.ndim != 2 or given.shape[0] != 1):
        raise InputError(
            f"decoder_input_ids has shape {list(given.shape)}, expected [1, positions]: a decoder that reads several "
            "codebooks side by side has no one token at a position."
        )
    if given is not None and wish.target_text is not None:
        raise OptionError("decoder_input_ids and target_text were both given: expected one of them.")
    if given is None and "decoder_inputs_embeds" in prompt.tensors:
        return Course(None, int(prompt.tensors["decoder_inputs_embeds"].shape[1]))
    if given is None and not wish.continues and _shifts_its_own_input(model):
        return Course(None, len(prompt.ids or ()))
    if wish.target_text is not None:
        return _target_of_encoder_decoder(model, tokenizer, wish.target_text)
    if given is not None and not wish.generate:
        ids = tuple(int(id) for id in given[0])
        count = _spoken_length(model, ids) if _speaks(model) else _prefix_length(ids, _forced(model, wish))
        return Course(ids, count, ids[count:])
    prefix = (
        _prefix(model, tokenizer, wish, prompt.tensors)
        if given is None
        else tuple(int(id) for id in given[0])
    )
    if not wish.generate:
        return Course(prefix, len(prefix))
    _need_generation(model)
    check_length(model, decoder_of(model), len(prefix) + wish.generate - 1, "decoder input")
    raw = torch.tensor([prefix], dtype=torch.long, device=device_of(model))
    sequence = _generate(model, {**prompt.tensors, "decoder_input_ids": raw}, wish)
    decided = sequence[len(prefix) :]
    if sequence[: len(prefix)] != prefix or not decided:
        raise CaptureError(f"{type(model).__name__} generated nothing after its prefix {list(prefix)}.")
    check_ids(model, decided)
    return Course((*prefix, *decided[:-1]), len(prefix), decided)


def encoder_of(model: Any) -> Any:
    """The encoder of an encoder-decoder, or the model itself."""
    encoder = model.get_encoder() if hasattr(model, "get_encoder") else None
    return encoder if isinstance(encoder, torch.nn.Module) else model


def decoder_of(model: Any) -> Any:
    """The decoder of an encoder-decoder, or the model itself."""
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    return decoder if isinstance(decoder, torch.nn.Module) else model


def is_encoder_decoder(model: Any) -> bool:
    """Whether a pass of this model runs an encoder and a decoder."""
    names = accepted(model)[0] & {"decoder_input_ids", "decoder_inputs_embeds"}
    return bool(getattr(model.config, "is_encoder_decoder", False)) and bool(names)


def decodes_at_once(model: Any) -> bool:
    """Whether the decoder's positions are learned queries, and no tokens that follow each other."""
    return is_encoder_decoder(model) and "decoder_input_ids" not in accepted(model)[0]


def _generate(model: Any, tensors: dict[str, Any], wish: Wish) -> tuple[int, ...]:
    torch.default_generator.manual_seed(wish.seed)
    device = device_of(model)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(wish.seed)
    options: dict[str, Any] = {"do_sample": False, "num_beams": 1, **(wish.options or {})}
    if _speaks(model):  # they are in the prefix already
        options = {name: value for name, value in options.items() if name not in _SPOKEN}
    if _setting(model, "forced_decoder_ids") is not None:
        options["forced_decoder_ids"] = None
    config = model.generation_config
    if config.pad_token_id is None and "pad_token_id" not in options:
        end = config.eos_token_id
        options["pad_token_id"] = end[0] if isinstance(end, list) else (end if end is not None else 0)
    if "decoder_input_ids" in tensors:
        options["decoder_start_token_id"] = int(tensors["decoder_input_ids"][0, 0])
        if _outgrows_cache(model):
            options["use_cache"] = False
    names = accepted(model)[0]
    accepts = {name: value for name, value in tensors.items() if name in names or name == "input_ids"}
    # Some that see make their input anew; Whisper's own works on and returns chunks of speech.
    run = type(model).generate if reads_within_text(model) else GenerationMixin.generate
    try:
        with quiet():
            out = run(
                model, **accepts, max_new_tokens=wish.generate, return_dict_in_generate=False, **options
            )
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        raise OptionError(
            f"{type(model).__name__} cannot generate with {options}: {first_line(error)}; generate_options "
            "can change that."
        ) from error
    return tuple(int(id) for id in out[0])


def _outgrows_cache(model: Any) -> bool:
    """Whether the decoder has more layers than transformers makes room for: it counts those of the encoder."""
    config = model.config.get_text_config(decoder=True)
    names = ("num_decoder_layers", "decoder_layers")
    layers = next((count for name in names if isinstance(count := getattr(config, name, None), int)), 0)
    return layers > int(getattr(config, "num_hidden_layers", 0) or 0)


def _target_after(tokenizer: Any, prompt: Prompt, target: str) -> tuple[int, ...]:
    """Ids of a text appended to a prompt: those of the joint text where it starts with the prompt's own."""
    ids = prompt.ids or ()
    if prompt.text is not None:
        joint = encode(tokenizer, prompt.text + target, add_special_tokens=prompt.answer is None)
        whole, flags = joint["input_ids"], joint["special_tokens_mask"]
        while whole and flags[len(whole) - 1] and len(whole) > len(ids):
            whole = whole[:-1]
        if tuple(whole[: len(ids)]) == ids and len(whole) > len(ids):
            return tuple(whole[len(ids) :])
    decided = tuple(encode(tokenizer, target, add_special_tokens=False)["input_ids"])
    if not decided:
        raise InputError(f"target_text {target!r} has no tokens.")
    return decided


def _target_of_encoder_decoder(model: Any, tokenizer: Any, target: str) -> Course:
    _need_tokenizer(tokenizer)
    if getattr(tokenizer, "src_lang", None) is not None and getattr(tokenizer, "tgt_lang", None) is None:
        raise InputError(
            "target_text: the tokenizer is not told which language it is in: set tokenizer.tgt_lang."
        )
    labels = _labels(tokenizer, target)
    special = special_ids(tokenizer)
    wanted = [index for index, id in enumerate(labels) if id not in special]
    if not wanted:
        raise InputError(f"target_text {target!r} has no tokens but special ones.")
    # mBART's own shift takes the last label for the language to begin with: not so where the tokenizer adds none
    shifted = _shifted(model, labels) if labels[-1] in special else (_start(model), *labels[:-1])
    first, last = wanted[0], wanted[-1]
    return Course(shifted[: last + 1], first + 1, tuple(labels[first : last + 1]))


def _labels(tokenizer: Any, target: str) -> list[int]:
    with quiet():
        try:
            return list(tokenizer(text_target=target, truncation=False)["input_ids"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"The tokenizer cannot encode target_text ({first_line(error)}): a translation model's tokenizer needs "
                "its target language, tokenizer.tgt_lang."
            ) from error


def _shifted(model: Any, labels: Sequence[int]) -> tuple[int, ...]:
    """Decoder input for labels: one to the right behind the start token, as the family does it."""
    shift = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if shift is not None:
        try:
            made = shift(labels=torch.tensor([list(labels)], device=device_of(model)))
            return tuple(int(id) for id in made[0])
        except (TypeError, ValueError, AttributeError):
            pass  # it needs tokens that the configuration does not name; the start token may still be known
    return (_start(model), *labels[:-1])


def _prefix(model: Any, tokenizer: Any, wish: Wish, tensors: Mapping[str, Any]) -> tuple[int, ...]:
    """Start token and forced tokens, such as the language to translate into."""
    options = wish.options or {}
    if _speaks(model):
        return _spoken(model, tokenizer, options, tensors)
    if "forced_bos_token_id" not in options and getattr(tokenizer, "tgt_lang", None) is not None:
        labels = _labels(tokenizer, "a")
        special = special_ids(tokenizer)
        count = next((index for index, id in enumerate(labels) if id not in special), 0)
        return _shifted(model, labels)[: count + 1]
    return _forced(model, wish)


def _speaks(model: Any) -> bool:
    """Whether the decoder starts with a language, a task and whether it writes times, as Whisper's does."""
    return _setting(model, "no_timestamps_token_id") is not None


def _spoken(
    model: Any, tokenizer: Any, options: Mapping[str, Any], tensors: Mapping[str, Any]
) -> tuple[int, ...]:
    """Whisper's start of transcript, language, task and "no timestamps", as its own `generate` has them.

    The language is the one asked for, else the tokenizer's, else the one the model hears.

    Raises:
        OptionError: a language or task that the model does not have.
    """
    start = _start(model)
    languages, tasks = dict(_setting(model, "lang_to_id") or {}), dict(_setting(model, "task_to_id") or {})
    asked = {name: options.get(name, _setting(model, name)) for name in ("language", "task")}
    own = tuple(int(id) for id in getattr(tokenizer, "prefix_tokens", None) or ())
    if own[:1] == (start,) and len(own) > 1 and not (set(options) & _SPOKEN):
        return own
    forced = _numbered(model, options)
    prefix = [start]
    if languages:
        language = _language(asked["language"], languages) if asked["language"] is not None else forced.get(1)
        if language is None:
            features = tensors.get("input_features")
            language = model.detect_language(
                input_features=features, num_segment_frames=None if features is None else features.shape[-1]
            )[0]
        prefix.append(int(language))
        task = asked["task"]
        if task is None and asked["language"] is not None:
            task = "transcribe"
        if task is not None and task not in tasks:
            raise unknown_name("task", str(task), tasks)
        if task is not None:
            prefix.append(int(tasks[task]))
        elif forced.get(2) in tasks.values():
            prefix.append(forced[2])
    elif asked["language"] is not None or asked["task"] is not None:
        raise OptionError(
            f"{type(model).__name__} here knows one language only: leave out language and task."
        )
    if not options.get("return_timestamps", _setting(model, "return_timestamps")):
        prefix.append(int(_setting(model, "no_timestamps_token_id")))
    return tuple(prefix)


def _language(name: Any, languages: Mapping[str, int]) -> int:
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    code = str(name).lower()
    code = TO_LANGUAGE_CODE.get(code, code)
    token = code if code in languages else f"<|{code}|>"
    if token not in languages:
        raise unknown_name("language", str(name), [known.strip("<|>") for known in languages])
    return int(languages[token])


def _numbered(model: Any, options: Mapping[str, Any]) -> dict[int, int]:
    """Tokens forced at positions of the decoder, by position."""
    forced = options.get("forced_bos_token_id", _setting(model, "forced_bos_token_id"))
    numbered = {
        int(index): int(id) for index, id in _setting(model, "forced_decoder_ids") or () if id is not None
    }
    if forced is not None:
        numbered.setdefault(1, int(forced[0] if isinstance(forced, list) else forced))
    return numbered


def _forced(model: Any, wish: Wish) -> tuple[int, ...]:
    options = wish.options or {}
    start = options.get("decoder_start_token_id")
    first = _start(model) if start is None else int(start)
    numbered = _numbered(model, options)
    prefix = [first]
    while len(prefix) in numbered:
        prefix.append(numbered[len(prefix)])
    return tuple(prefix)


def _prefix_length(ids: Sequence[int], forced: Sequence[int]) -> int:
    count = 1
    while count < min(len(ids), len(forced)) and ids[count] == forced[count]:
        count += 1
    return count


def _spoken_length(model: Any, ids: Sequence[int]) -> int:
    """How many of a Whisper decoder's ids say how to write, and not what was heard."""
    how = {
        *dict(_setting(model, "lang_to_id") or {}).values(),
        *dict(_setting(model, "task_to_id") or {}).values(),
        _setting(model, "no_timestamps_token_id"),
    }
    count = 1
    while count < len(ids) and ids[count] in how:
        count += 1
    return count


def _start(model: Any) -> int:
    for name in ("decoder_start_token_id", "bos_token_id"):
        found = _setting(model, name)
        if found is not None:
            return int(found[0] if isinstance(found, list) else found)
    raise InputError(
        f"{type(model).__name__} names no decoder start token: set decoder_start_token_id in its "
        "generation_config, or pass decoder_input_ids in inputs."
    )


def _setting(model: Any, name: str) -> Any:
    configs = (
        getattr(model, "generation_config", None),
        model.config,
        getattr(model.config, "decoder", None),
    )
    return next((found for config in configs if (found := getattr(config, name, None)) is not None), None)


def _without_end(prompt: Prompt, tokenizer: Any) -> Prompt:
    """A text's prompt without the end token behind it: nothing continues after an end."""
    ids, end = prompt.ids or (), getattr(tokenizer, "eos_token_id", None)
    last = prompt.tokens[-1] if prompt.tokens else None
    if (
        prompt.text is None
        or len(ids) < 2
        or ids[-1] != end
        or last is None
        or not last.special
        or last.template
    ):
        return prompt
    size = len(ids)
    tensors = {
        name: value[:, :-1] if value.shape[1] == size else value for name, value in prompt.tensors.items()
    }
    return replace(prompt, tensors=tensors, ids=ids[:-1], tokens=prompt.tokens[:-1])


def _shifts_its_own_input(model: Any) -> bool:
    """Classifiers of encoder-decoder families decode the input itself, shifted."""
    return any(
        base.__name__.endswith(("ForSequenceClassification", "ForQuestionAnswering"))
        for base in type(model).__mro__
    )


def _need_generation(model: Any) -> None:
    if not getattr(model, "can_generate", lambda: False)():
        raise OptionError(
            f"generate: {type(model).__name__} cannot generate; expected a model with a language head."
        )


def _need_tokenizer(tokenizer: Any) -> None:
    if tokenizer is None:
        raise InputError("target_text needs a tokenizer: pass tokenizer=.")
