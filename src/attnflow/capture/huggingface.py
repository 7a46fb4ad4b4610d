"""One pass of a transformers model, kept as a `Trace`.

The model runs once in eval mode without gradients, is left exactly as it was found, and nothing is truncated,
padded or guessed silently: what cannot be captured exactly is refused with an error that names the way out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch

from attnflow.capture.among import lay_among, places_of_ids
from attnflow.capture.arrangement import arranged, of_one_output
from attnflow.capture.decisions import Ending, decide
from attnflow.capture.generation import (
    Course,
    Wish,
    continued,
    decoder_course,
    decoder_of,
    decodes_at_once,
    encoder_decoder_course,
    encoder_of,
    is_encoder_decoder,
)
from attnflow.capture.given import Given, prepare
from attnflow.capture.gradients import Gathered, Gradients
from attnflow.capture.inputs import Prompt, check_ids, check_length, kept_decoder, kept_positions
from attnflow.capture.interface import LOCK, Recorder
from attnflow.capture.layers import (
    Stacks,
    by_side,
    crossed_stacks,
    encoder_decoder_stacks,
    has_sinks,
    single_stack,
)
from attnflow.capture.line import line_to, parse_steps
from attnflow.capture.loading import load_model, name_of
from attnflow.capture.norms import Norms
from attnflow.capture.outcomes import find_logits, find_vector, is_pooled
from attnflow.capture.outputs import Output, Question, ask
from attnflow.capture.patches import special
from attnflow.capture.placement import device_of
from attnflow.capture.places import place_positions, place_within
from attnflow.capture.pooling import Pooled, by_rule, may_carry
from attnflow.capture.provenance import provenance
from attnflow.capture.records import RECORDS, parse_heads, parse_records
from attnflow.capture.requests import Differentiate, Forward, Probe, Request, alone
from attnflow.capture.sentences import pooled_target, pooling_of
from attnflow.capture.stacks import Crossed, crossed, of_prediction
from attnflow.capture.state import as_found
from attnflow.capture.stem import Stem
from attnflow.capture.tokens import tokens_of_continuation, tokens_of_ids
from attnflow.capture.towers import HOLD_MEDIA, language_part, reads_within_text
from attnflow.errors import CaptureError, InputError, OptionError
from attnflow.media import Medium
from attnflow.models import own_generate
from attnflow.trace import GRADIENT_RECORDS, Architecture, Record, Token, Trace


@torch.inference_mode(False)  # type: ignore[untyped-decorator]
def captures(model: Any, text: Any, **options: Any) -> list[Trace]:
    """Runs a transformers model on one input; see `attnflow.capture.capture_targets` for everything.

    Without gradient records there is one trace for all targets.
    """
    return alone(capturing(model, text, **options))


def capturing(
    model: str | os.PathLike[str] | torch.nn.Module,
    text: str | Sequence[Mapping[str, Any]] | None,
    *,
    tokenizer: Any,
    image: Any,
    audio: Any,
    processor: Any,
    inputs: Mapping[str, Any] | None,
    target_text: str | None,
    generate: int | None,
    generate_options: Mapping[str, Any] | None,
    heads: str | Sequence[int],
    record: str | Sequence[str],
    targets: str | Sequence[int | Sequence[int]] | None,
    output: Output | None,
    steps: int,
    baseline: str | None,
    seed: int,
    allow_partial: bool,
    trust_remote_code: bool,
    progress: Callable[[int, int], None] | None,
) -> Generator[Request, Any, list[Trace]]:
    """Captures one input, asking for passes and gradients instead of running them; see `captures`."""
    given = Given.of(text, image, audio, inputs)
    wish = Wish(generate or 0, target_text, generate_options if generate is not None else None, seed)
    reduction = parse_heads(heads)
    names = parse_records(record, reduction)
    gradient_names = tuple(name for name in names if name in GRADIENT_RECORDS)
    parse_steps(steps, baseline)
    if not gradient_names and (targets is not None or output is not None or steps != 1):
        raise OptionError(
            f"target, output and steps ask about one output, but {', '.join(names)} is the same whatever output is "
            f"asked about: leave them out, or keep a gradient record ({', '.join(GRADIENT_RECORDS)})."
        )
    whole, tokenizer = load_model(model, tokenizer, trust_remote_code=trust_remote_code)
    if generate is None:
        asked = target_text is not None or "decoder_input_ids" in (inputs or {})
        generate = 0 if asked else own_generate(whole)
        wish = Wish(generate, target_text, generate_options, seed)
    name = os.fspath(model) if isinstance(model, (str, os.PathLike)) else name_of(whole)
    loaded, tokenizer, prompt = prepare(whole, name, tokenizer, processor, given, trust_remote_code)
    prompt = replace(prompt, tensors={name: _usable(value) for name, value in prompt.tensors.items()})
    place, language = language_part(loaded)
    if prompt.ids is not None:
        check_ids(loaded, prompt.ids)
    implementation = getattr(loaded.config, "_attn_implementation", None)
    both = is_encoder_decoder(loaded)
    if prompt.ids is not None:
        check_length(loaded, encoder_of(loaded) if both else language, len(prompt.ids))
    if gradient_names and any(part.is_inference() for part in loaded.parameters()):
        raise CaptureError(
            f"{type(loaded).__name__} was loaded inside torch.inference_mode(), so that autograd cannot use its "
            "weights: load it outside to capture gradients."
        )
    gradients = Gradients(gradient_names, reduction) if gradient_names else None
    norms = Norms(reduction) if "norm" in names else None
    stem = Stem() if prompt.ids is None or HOLD_MEDIA & set(prompt.tensors) else None
    observers = [observer for observer in (gradients, norms, stem) if observer is not None]
    with LOCK, as_found(loaded):
        recorder = Recorder(
            loaded, RECORDS["attention"], reduction, progress, _expected_layers(loaded, both), observers
        )
        recorder.place = place
        if gradients is None and recorder.total and may_carry(loaded):
            recorder.probe = recorder.total - 1
        run = _run_encoder_decoder if both else _run_single
        found = yield from run(loaded, tokenizer, prompt, wish, recorder, allow_partial)
        stacks, ending, outputs = found.stacks, found.ending, _detached(found.outputs)
        decisions, decides = decide(loaded, tokenizer, outputs, ending, found.keep)
        way = pooling_of(model, name) if prompt.ids is not None and find_logits(outputs) is None else None
        sentence = None if way is None else pooled_target(way, len(ending.tokens))
        decisions = decisions if sentence is None else (sentence,)
        records = {"attention": Record(stacks.encoder, stacks.decoder, stacks.cross)}
        if norms is not None:
            records["norm"] = arranged(loaded, "norm", norms.layers, found)
        questions: tuple[Question, ...] = ()
        gathered: list[Gathered] = []
        if gradients is not None:
            questions = ask(
                loaded, tokenizer, outputs, ending, found.keep, decisions, decides, targets, output
            )
            if steps > 1:
                encoder = encoder_of(loaded) if both else loaded
                gradients.line = line_to(loaded, encoder, tokenizer, baseline, found.moving)
            gathered = yield Differentiate(
                loaded, gradients, found.tensors, found.outputs, questions, steps, progress
            )
    options: dict[str, Any] = {
        "heads": reduction.name,
        "record": list(names) if len(names) > 1 else names[0],
        "generate": generate,
        "generate_options": dict(generate_options or {}),
        "target_text": target_text,
        "seed": seed,
        "allow_partial": allow_partial,
    }
    if gradients is not None:
        options |= {
            "output": output,
            "steps": steps,
            "baseline": None if gradients.line is None else gradients.line.name,
        }
    try:
        trace = Trace(
            architecture=ending.architecture,
            records=records,
            encoder_tokens=found.tokens[0],
            decoder_tokens=found.tokens[1],
            heads=reduction.name,
            prompt=None if ending.course is None else ending.course.prompt,
            decisions=decisions,
            decides=decides,
            sinks=has_sinks(loaded),
            dtype=stacks.dtype,
            partial=stacks.partial,
            text=ending.text,
            causal=stacks.causal,
            media=found.media,
            provenance=provenance(loaded, name, implementation, options),
        )
        if gradients is None:
            return [trace]
        return [of_one_output(loaded, trace, found, *pair) for pair in zip(questions, gathered)]
    except InputError as error:
        raise CaptureError(f"{type(loaded).__name__}: {error}") from error


@dataclass(frozen=True)
class _Pass:
    """One pass, arranged.

    Attributes:
        stacks: attention weights.
        tokens: of the encoder's and the decoder's positions.
        ending: the last group.
        outputs: what the model returned.
        tensors: what the model ran on.
        crops: per stack, which queries and keys are not padding, None for all.
        media: pictures and clips that tokens are parts of.
    """

    stacks: Stacks
    tokens: tuple[tuple[Token, ...], tuple[Token, ...]]
    ending: Ending
    outputs: Any
    tensors: dict[str, Any]
    crops: Mapping[str, tuple[Sequence[int] | None, Sequence[int] | None]]
    media: tuple[Medium, ...] = ()

    @property
    def keep(self) -> Sequence[int] | None:
        """Positions of the last group that are not padding, or None for all."""
        return self.crops["encoder" if self.ending.architecture == "encoder" else "decoder"][0]

    @property
    def moving(self) -> tuple[bool, ...] | None:
        """Per position of the input ids, padding included, whether it holds text: no padding, no template."""
        raw = self.tensors.get("input_ids")
        if raw is None:
            return None
        tokens = self.tokens[1] if self.ending.architecture == "decoder" else self.tokens[0]
        keep = self.crops["decoder" if self.ending.architecture == "decoder" else "encoder"][0]
        moving = [False] * int(raw.shape[1])
        for place, token in zip(range(len(moving)) if keep is None else keep, tokens):
            moving[place] = not (token.special or token.template)
        return tuple(moving)


def _usable(value: Any) -> Any:
    """A tensor that autograd may keep, though it was made in inference mode."""
    return value.clone() if torch.is_tensor(value) and value.is_inference() else value


def _detached(outputs: Any) -> Any:
    """The tensors that a model names among its outputs, without their graph; none if it returns a bare tensor."""
    named = outputs if isinstance(outputs, Mapping) else {}
    return SimpleNamespace(
        **{name: value.detach() for name, value in named.items() if torch.is_tensor(value)}
    )


def _run_single(
    model: Any, tokenizer: Any, prompt: Prompt, wish: Wish, recorder: Recorder, allow_partial: bool
) -> Generator[Request, Any, _Pass]:
    """Runs an encoder-only or decoder-only model."""
    prompt, course = decoder_course(model, tokenizer, prompt, wish)
    tensors = continued(model, prompt, course)
    ids = course.given
    if wish.continues:
        check_length(model, model, len(ids or ()))
    outputs = yield Forward(model, tensors, recorder)
    parts = crossed(model, recorder.reports)
    if parts is not None:
        return _crossed(model, tokenizer, prompt, course, tensors, outputs, recorder, parts, allow_partial)
    count = None if ids is None else len(ids)
    reports = of_prediction(model, recorder.inside(), count)
    longer = reports[0].kept.shape[-1]
    tokens = prompt.tokens
    if count is not None and longer > count and prompt.keep is None and not wish.continues:
        places = places_of_ids(model, tensors, reports[0].name, count, longer)
        tokens, ids, count = lay_among(tokens, places, longer), None, None
    elif ids is None:
        tokens = ()
    prompt = replace(prompt, keep=kept_positions(model, prompt, longer))
    stacks = single_stack(model, reports, prompt.keep, count, allow_partial, decodes=reads_within_text(model))
    architecture: Architecture = "decoder" if stacks.decoder else "encoder"
    if architecture == "encoder" and wish.continues:
        raise OptionError(
            f"{type(model).__name__} reads in both directions: generate and target_text need a model that "
            "decodes."
        )
    size = (stacks.encoder or stacks.decoder)[0].shape[-1]
    padded = stacks.padded[1] or stacks.padded[0] or size
    text, media = prompt.text, prompt.media
    if ids is None and not tokens:
        laid, media = place_positions(model, recorder, prompt, outputs, padded)
        tokens = _cropped(laid, prompt.keep)
    elif ids is not None:
        placed, media = place_within(model, recorder, prompt, prompt.tokens)
        tokens = _cropped(placed, prompt.keep)
        if len(ids) > course.prompt:
            more, text = tokens_of_continuation(
                tokenizer, (*ids, *course.decided[-1:]), course.prompt, len(ids), text
            )
            turn, role = prompt.answer or (None, None)
            tokens += tuple(replace(token, turn=turn, role=role) for token in more)
    if not wish.continues:
        course = Course(ids, size)
    pooled = yield from _pooled(
        model, outputs, tensors, recorder, stacks, architecture, padded, ids, prompt.keep
    )
    kept_ids = None if ids is None else _cropped(ids, prompt.keep)
    ending = Ending(
        architecture, tokens, kept_ids, course if architecture == "decoder" else None, pooled, text
    )
    sides = (tokens, ()) if architecture == "encoder" else ((), tokens)
    return _Pass(
        stacks, sides, ending, outputs, tensors, {str(architecture): (prompt.keep, prompt.keep)}, media
    )


def _crossed(
    model: Any,
    tokenizer: Any,
    prompt: Prompt,
    course: Course,
    tensors: dict[str, Any],
    outputs: Any,
    recorder: Recorder,
    parts: Crossed,
    allow_partial: bool,
) -> _Pass:
    """A pass that turned out to be an encoder's and a decoder's: captions, object queries."""
    n, m = (part[0].kept.shape[-1] for part in (parts.encoder, parts.decoder))
    ids = course.given
    writes = ids is not None and len(ids) == m
    kept = prompt.keep if writes else None
    keep = kept_positions(model, replace(prompt, ids=None), n) if writes else prompt.keep
    stacks = crossed_stacks(model, parts, (keep, kept), (n, m), allow_partial)
    if writes or ids is None:
        laid, media = place_positions(model, recorder, prompt, outputs, n)
    else:
        laid, media = prompt.tokens, prompt.media
    if writes:
        given = _cropped(ids or (), kept)
        target = tokens_of_ids(tokenizer, given, generated_from=course.prompt)
        if not course.decided:
            course = Course(given, len(given))
    else:
        target = special("query", m, first=0)
        given, course = None, Course(None, m)
    ending = Ending("encoder-decoder", target, given, course, None, prompt.text)
    crops = {"encoder": (keep, keep), "decoder": (kept, kept), "cross": (kept, keep)}
    return _Pass(stacks, (_cropped(laid, keep), target), ending, outputs, tensors, crops, media)


def _run_encoder_decoder(
    model: Any, tokenizer: Any, prompt: Prompt, wish: Wish, recorder: Recorder, allow_partial: bool
) -> Generator[Request, Any, _Pass]:
    """Runs an encoder-decoder."""
    if not any(
        "att" in type(part).__name__.lower() for part in decoder_of(model).modules()
    ):  # a transducer's
        raise CaptureError(
            f"{type(model).__name__}: its decoder ({type(decoder_of(model)).__name__}) is no stack of attention; "
            "expected one. Its encoder can be captured by itself: pass model.get_encoder()."
        )
    course = encoder_decoder_course(model, tokenizer, prompt, wish)
    tensors = dict(prompt.tensors)
    if course.given is not None:
        check_ids(decoder_of(model), course.given)
        check_length(model, decoder_of(model), len(course.given), "decoder input")
        tensors["decoder_input_ids"] = torch.tensor([course.given], dtype=torch.long, device=device_of(model))
    outputs = yield Forward(model, tensors, recorder)
    sizes = (
        None if prompt.ids is None else len(prompt.ids),
        None if course.given is None else len(course.given),
    )
    kept = None if sizes[1] is None else kept_decoder(prompt.tensors, sizes[1])
    if sizes[1] is None and prompt.keep is not None and prompt.ids is not None:
        raise InputError(
            f"{type(model).__name__} shifts its input into its decoder: pass inputs without padding."
        )
    reports = recorder.inside()
    front = by_side(model, reports)[0]
    if not front:  # the encoder stands beside what decodes
        reports = recorder.reports
        front = by_side(model, reports)[0]
    heard = front[0].kept.shape[-1] if front else 0
    prompt = replace(prompt, keep=kept_positions(model, prompt, heard))
    stacks = encoder_decoder_stacks(model, reports, (prompt.keep, kept), sizes, allow_partial)
    m = stacks.cross[0].shape[-2]
    laid, media = prompt.tokens, prompt.media
    if prompt.ids is None:
        laid, media = place_positions(model, recorder, prompt, outputs, stacks.padded[0] or heard)
    source = _cropped(laid, prompt.keep)
    given = course.given
    if given is None and prompt.ids is not None and m == len(prompt.ids):
        given = (*_start_of(model, prompt.ids), *prompt.ids[:-1])
    if kept is not None:
        before = sum(index < course.prompt for index in kept)
        course = Course(course.given, before, _cropped(given or (), kept)[before:])
    if given is None:
        named = special("query", m, first=0) if decodes_at_once(model) else ()
        target: tuple[Token, ...] = named or tuple(Token(str(index)) for index in range(m))
        course = Course(None, m)
    else:
        given = _cropped(given, kept)
        target = tokens_of_ids(tokenizer, given, generated_from=course.prompt)
    pooled = yield from _pooled(
        model, outputs, tensors, recorder, stacks, "encoder-decoder", stacks.padded[1] or m, prompt.ids, kept
    )
    ending = Ending("encoder-decoder", target, given, course, pooled, prompt.text)
    crops = {"encoder": (prompt.keep, prompt.keep), "decoder": (kept, kept), "cross": (kept, prompt.keep)}
    return _Pass(stacks, (source, target), ending, outputs, tensors, crops, media)


def _pooled(
    model: Any,
    outputs: Any,
    tensors: dict[str, Any],
    recorder: Recorder,
    stacks: Stacks,
    architecture: Architecture,
    size: int,
    ids: Sequence[int] | None,
    keep: Sequence[int] | None,
) -> Generator[Request, Any, Pooled | None]:
    """What a classifier or an embedding model reads, after cropping; None for any other model."""
    pooled = is_pooled(model, outputs, size)
    # A text encoder's pooler reads its first position, and that is the default target of one without head.
    plain = architecture == "encoder" and ids is not None
    if not pooled and (plain or find_logits(outputs) is not None or find_vector(outputs) is None):
        return None
    last = max(call for calls in stacks.calls.values() for call in calls if call is not None)
    found = yield Probe(model, tensors, last, outputs, recorder)
    if found is None and not pooled:
        return None
    read = Pooled(by_rule(model, architecture, size, ids)) if found is None else found
    kept = read.cropped(keep)
    if kept is None:
        raise InputError(
            f"{type(model).__name__} reads its class at position {read.positions[0]}, which is padding: pad on "
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
    found = getattr(config, "num_hidden_layers", 0)
    count = found if isinstance(found, int) else 0
    if not both:
        return count
    decoder = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None) or count
    return count + 2 * int(decoder)
