"""One pass of a transformers model, kept as a `Trace`.

The model runs once in eval mode without gradients, is left exactly as it was found, and nothing is truncated,
padded or guessed silently: what cannot be captured exactly is refused with an error that names the way out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from attnflow.capture.decisions import Ending, decide, is_pooled
from attnflow.capture.generation import (
    Course,
    Wish,
    continued,
    decoder_course,
    decoder_of,
    encoder_decoder_course,
    encoder_of,
    is_encoder_decoder,
)
from attnflow.capture.inputs import (
    Prompt,
    check_ids,
    check_length,
    check_not_only_special,
    from_tensors,
    from_text,
    kept_decoder,
    refuse_both,
)
from attnflow.capture.interface import LOCK, Recorder, run_eager, run_listening
from attnflow.capture.layers import Stacks, by_side, encoder_decoder_stacks, has_sinks, single_stack
from attnflow.capture.loading import load_model
from attnflow.capture.pooling import by_rule, probed
from attnflow.capture.provenance import provenance
from attnflow.capture.records import parse_heads, parse_record
from attnflow.capture.state import as_found
from attnflow.capture.tokens import tokens_of_ids
from attnflow.errors import CaptureError, InputError, OptionError
from attnflow.trace import Architecture, Record, Token, Trace


def capture(
    model: str | os.PathLike[str] | torch.nn.Module,
    text: str | None,
    *,
    tokenizer: Any,
    inputs: Mapping[str, Any] | None,
    target_text: str | None,
    generate: int,
    generate_options: Mapping[str, Any] | None,
    heads: str | Sequence[int],
    record: str,
    seed: int,
    allow_partial: bool,
    trust_remote_code: bool,
    progress: Callable[[int, int], None] | None,
) -> Trace:
    """Runs a transformers model on one input; see `attnflow.capture.capture` for everything."""
    refuse_both(text, inputs)
    wish = Wish(generate, target_text, generate_options, seed)
    reduction, keep = parse_heads(heads), parse_record(record)
    loaded, tokenizer = load_model(model, tokenizer, trust_remote_code=trust_remote_code)
    prompt = from_text(loaded, tokenizer, text) if inputs is None else from_tensors(loaded, tokenizer, inputs)
    if inputs is not None:
        check_not_only_special(tokenizer, prompt)
    if prompt.ids is not None:
        check_ids(loaded, prompt.ids)
    implementation = getattr(loaded.config, "_attn_implementation", None)
    both = is_encoder_decoder(loaded)
    if prompt.ids is not None:
        check_length(loaded, encoder_of(loaded) if both else loaded, len(prompt.ids))
    with LOCK, as_found(loaded):
        recorder = Recorder(loaded, keep, reduction, progress, _expected_layers(loaded, both))
        run = _run_encoder_decoder if both else _run_single
        stacks, tokens, ending, outputs, how, kept = run(
            loaded, tokenizer, prompt, wish, recorder, allow_partial
        )
        decisions, decides = decide(loaded, tokenizer, outputs, ending, kept)
    name = os.fspath(model) if isinstance(model, (str, os.PathLike)) else loaded.name_or_path
    options = {
        "heads": reduction.name,
        "record": record,
        "generate": generate,
        "generate_options": dict(generate_options or {}),
        "target_text": target_text,
        "seed": seed,
        "allow_partial": allow_partial,
    }
    try:
        return Trace(
            architecture=ending.architecture,
            records={record: Record(stacks.encoder, stacks.decoder, stacks.cross)},
            encoder_tokens=tokens[0],
            decoder_tokens=tokens[1],
            heads=reduction.name,
            prompt=None if ending.course is None else ending.course.prompt,
            decisions=decisions,
            decides=decides,
            sinks=has_sinks(loaded),
            dtype=stacks.dtype,
            partial=stacks.partial,
            text=prompt.text,
            provenance=provenance(loaded, name, how, implementation, options),
        )
    except InputError as error:
        raise CaptureError(f"{type(loaded).__name__}: {error}") from error


_Pass = tuple[Stacks, tuple[tuple[Token, ...], tuple[Token, ...]], Ending, Any, str, Sequence[int] | None]


def _run_single(
    model: Any, tokenizer: Any, prompt: Prompt, wish: Wish, recorder: Recorder, allow_partial: bool
) -> _Pass:
    """Runs an encoder-only or decoder-only model."""
    prompt, course = decoder_course(model, tokenizer, prompt, wish)
    tensors = continued(prompt, course)
    ids = course.given
    if wish.continues:
        check_length(model, model, len(ids or ()))
    outputs, how = _run(model, tensors, recorder, ("attentions",))
    stacks = single_stack(
        model, recorder.reports, prompt.keep, None if ids is None else len(ids), allow_partial
    )
    architecture: Architecture = "decoder" if stacks.decoder else "encoder"
    if architecture == "encoder" and wish.continues:
        raise OptionError(
            f"{type(model).__name__} reads in both directions: generate and target_text need a model that "
            "decodes."
        )
    size = (stacks.encoder or stacks.decoder)[0].shape[-1]
    padded = stacks.padded[1] or stacks.padded[0] or size
    if ids is None:
        tokens: tuple[Token, ...] = tuple(Token(str(index)) for index in range(size))
    else:
        tokens = _cropped(prompt.tokens, prompt.keep)
        if len(ids) > course.prompt:
            tokens += tokens_of_ids(tokenizer, ids, generated_from=course.prompt)[course.prompt :]
    if not wish.continues:
        course = Course(course.given, size)
    pooled = _pooled(model, outputs, tensors, recorder, how, architecture, padded, ids, prompt.keep)
    kept_ids = None if ids is None else _cropped(ids, prompt.keep)
    ending = Ending(architecture, tokens, kept_ids, course if architecture == "decoder" else None, pooled)
    sides = (tokens, ()) if architecture == "encoder" else ((), tokens)
    return stacks, sides, ending, outputs, how, prompt.keep


def _run_encoder_decoder(
    model: Any, tokenizer: Any, prompt: Prompt, wish: Wish, recorder: Recorder, allow_partial: bool
) -> _Pass:
    """Runs an encoder-decoder."""
    course = encoder_decoder_course(model, tokenizer, prompt, wish)
    tensors = dict(prompt.tensors)
    if course.given is not None:
        check_ids(decoder_of(model), course.given)
        check_length(model, decoder_of(model), len(course.given), "decoder input")
        tensors["decoder_input_ids"] = torch.tensor([course.given], dtype=torch.long, device=model.device)
    names = ("encoder_attentions", "decoder_attentions", "cross_attentions")
    outputs, how = _run(model, tensors, recorder, names)
    sizes = (
        None if prompt.ids is None else len(prompt.ids),
        None if course.given is None else len(course.given),
    )
    kept = None if sizes[1] is None else kept_decoder(prompt.tensors, sizes[1])
    if sizes[1] is None and prompt.keep is not None and prompt.ids is not None:
        raise InputError(
            f"{type(model).__name__} shifts its input into its decoder: pass inputs without padding."
        )
    stacks = encoder_decoder_stacks(model, recorder.reports, (prompt.keep, kept), sizes, allow_partial)
    n, m = stacks.cross[0].shape[-1], stacks.cross[0].shape[-2]
    source = _cropped(prompt.tokens, prompt.keep) or tuple(Token(str(index)) for index in range(n))
    given = course.given
    if given is None and prompt.ids is not None and m == len(prompt.ids):
        given = (*_start_of(model, prompt.ids), *prompt.ids[:-1])
    if kept is not None:
        before = sum(index < course.prompt for index in kept)
        course = Course(course.given, before, _cropped(given or (), kept)[before:])
    if given is None:
        target: tuple[Token, ...] = tuple(Token(str(index)) for index in range(m))
        course = Course(None, m)
    else:
        given = _cropped(given, kept)
        target = tokens_of_ids(tokenizer, given, generated_from=course.prompt)
    pooled = _pooled(
        model, outputs, tensors, recorder, how, "encoder-decoder", stacks.padded[1] or m, prompt.ids, kept
    )
    ending = Ending("encoder-decoder", target, given, course, pooled)
    return stacks, (source, target), ending, outputs, how, kept


def _run(model: Any, tensors: dict[str, Any], recorder: Recorder, names: tuple[str, ...]) -> tuple[Any, str]:
    outputs = run_listening(model, tensors, recorder)
    if recorder.reports and (len(names) == 1 or all(by_side(model, recorder.reports))):
        return outputs, "interface"
    recorder.reports.clear()  # off the interface, or one side of an encoder-decoder is
    return run_eager(model, tensors, recorder, names), "eager"


def _pooled(
    model: Any,
    outputs: Any,
    tensors: dict[str, Any],
    recorder: Recorder,
    how: str,
    architecture: Architecture,
    size: int,
    ids: Sequence[int] | None,
    keep: Sequence[int] | None,
) -> tuple[int, ...] | None:
    """Positions that a classifier reads, after cropping; None for any other model."""
    if not is_pooled(model, outputs, size):
        return None
    found = probed(model, tensors, len(recorder.reports)) if how == "interface" else None
    positions = by_rule(model, architecture, size, ids) if found is None else found
    if keep is None:
        return positions
    place = {position: index for index, position in enumerate(keep)}
    kept = tuple(place[position] for position in positions if position in place)
    if not kept:
        raise InputError(
            f"{type(model).__name__} reads its class at position {positions[0]}, which is padding: pad on "
            "the other side."
        )
    return kept


def _start_of(model: Any, ids: Sequence[int]) -> tuple[int, ...]:
    start = getattr(model.config, "decoder_start_token_id", None)
    return (int(ids[-1]) if start is None else int(start),)


def _cropped(items: tuple[Any, ...], keep: Sequence[int] | None) -> tuple[Any, ...]:
    return items if keep is None or not items else tuple(items[index] for index in keep)


def _expected_layers(model: Any, both: bool) -> int:
    config = model.config
    count = int(getattr(config, "num_hidden_layers", 0) or 0)
    if not both:
        return count
    decoder = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None) or count
    return count + 2 * int(decoder)
