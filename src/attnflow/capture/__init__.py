"""From a model and an input to a `Trace`.

`capture` runs any transformers model and keeps what it attended to; `capture_targets` does so for several
outputs at once, where what is kept belongs to one output each. `load_model` reads the model they would use.
Importing this package loads neither torch nor transformers: calling one of the three does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from attnflow.capture.items import is_list, items_of, parse_batch_size
from attnflow.errors import InputError, MissingExtraError, OptionError, unknown_name
from attnflow.trace import Trace

if TYPE_CHECKING:
    import torch

__all__ = ["capture", "capture_each", "capture_targets", "load_model"]


def capture(
    model: str | os.PathLike[str] | torch.nn.Module,
    text: str | Sequence[Mapping[str, Any]] | None = None,
    *,
    tokenizer: Any = None,
    image: Any = None,
    audio: Any = None,
    processor: Any = None,
    inputs: Mapping[str, Any] | None = None,
    target_text: str | None = None,
    generate: int | None = None,
    generate_options: Mapping[str, Any] | None = None,
    heads: str | Sequence[int] = "mean",
    record: str | Sequence[str] = "attention",
    target: int | Sequence[int] | None = None,
    output: int | str | Sequence[int | str] | None = None,
    steps: int = 1,
    baseline: str | None = None,
    seed: int = 0,
    allow_partial: bool = False,
    trust_remote_code: bool = False,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Runs a model on one input, or on each of a list of them, and keeps what it attended to.

    Args:
        model: a transformers model, a local directory, the name of a bundled model, or a hub id; or a PyTorch model, a
            class of your own told to `register_model`, or a cache of TransformerLens. A model handed in is left as it
            was found, also if an error is raised.
        text: the input; the source text of an encoder-decoder. Or a chat: a list of messages, each a mapping with
            `role` and `content` (text, or a list of text parts). The tokenizer's chat template renders it, up to
            where the assistant's answer begins; a last message by the assistant is continued. A model that
            cannot generate, such as a classifier of chats, reads the finished chat. A list of inputs gives a list of
            traces, see `capture_each`.
        tokenizer: for a loaded model; default the one at `model.name_or_path`. A processor does too.
        image: a picture: a PIL image, a path, or an array `[height, width, 3]`, uint8 or floating from 0 to 1; for
            models that read several within a text, a list. Alone, or beside a text or chat that says where it stands.
            May also be given as `text`.
        audio: a clip: a path, or `(samples, rate)`; resampled to what the model hears, never cut.
        processor: what preprocesses them: a processor, image processor or feature extractor of transformers, or the
            place of one; default the one at `model.name_or_path`.
        inputs: keyword tensors of the model instead of text, batch of one; for a PyTorch model also a tuple of its
            arguments. Padding, as `attention_mask` says, is run as given and then cropped; a prompt that is continued
            loses it before.
            `decoder_input_ids` are used as given. Without a tokenizer tokens are named by id.
        target_text: a continuation (decoder-only) or output (encoder-decoder) to teacher-force.
        generate: number of tokens to decode, greedily unless `generate_options` say otherwise; fewer if the
            model ends. The trace is of one teacher-forced pass over prompt and tokens, all but the last one. None: a
            bundled model that answers gives its whole answer, any other decodes nothing.
        generate_options: passed on to the model's `generate`.
        heads: "mean", "max", "all" to keep every head, or a list of head indices whose mean is kept. Records other
            than "attention" take "mean" or a list.
        record: what to keep of each layer, beside the attention weights A that are always kept, all
            `[queries, keys]`; a name or several.
            "norm": length of the vector that each key position sends each query position.
            "relevance": `sum_h A_h * dy/dA_h`, signed, in the units of y.
            "attention-gradient": `mean_h max(0, A_h * dy/dA_h)`, and with the other sign under
            "attention-gradient-opposing".
            "gradient": `mean_h max(0, dy/dA_h)` where A_h is not 0, and likewise "gradient-opposing".
            The last three are gradients of y, the logit of one output, and bring `Trace.input_relevance`.
        target: for gradients: node position of the last group whose output y is, negative from the end, or several
            as a set where they share one output (a classifier's). None: the model's one default target.
        output: for gradients: class index or label, token id or the text of exactly one token; a pair `(a, b)` for
            the logit of a minus that of b. None: the predicted class; the token that the target position decides.
        steps: for gradients: average over this many points on the line from a baseline to the input's embeddings,
            the input included; special tokens, and the decoder's input of an encoder-decoder, stay as they are.
        baseline: "mask", "pad" or "zero" embeddings; None: the first of them that the tokenizer has.
        seed: for sampling in `generate`; the random state of torch is left alone.
        allow_partial: treat layers without attention as identity and mark the trace.
        trust_remote_code: run modeling code that comes with a checkpoint.
        batch_size: of a list, most inputs per pass; None for 8.
        progress: called as `progress(done, total)` after every attention layer, then after every backward pass if
            there are several.

    Returns:
        The trace, or one for each of a list: per layer `[queries, keys]` (`[heads, queries, keys]` for
        heads="all"), float32, or float64 if the model computes in it.

    Raises:
        InputError: text or tensors that the model cannot read: empty, too long, more than one example.
        OptionError: unknown or contradictory options; a model that does not exist.
        CaptureError: a model without attention, or whose attention is not one matrix per layer over one
            sequence; for gradients, a model without output, or that cannot be differentiated.
        MissingExtraError: torch, transformers or a bundled model's package is not installed.

    Warns:
        VocabularyWarning: the text holds words that the model reads as one token for all unknown ones.
        PositionsWarning: the input is longer than anything a model without position tables was trained on.
    """
    options: dict[str, Any] = {
        "tokenizer": tokenizer,
        "image": image,
        "audio": audio,
        "processor": processor,
        "inputs": inputs,
        "target_text": target_text,
        "generate": generate,
        "generate_options": generate_options,
        "heads": heads,
        "record": record,
        "targets": None if target is None else [target],
        "output": output,
        "steps": steps,
        "baseline": baseline,
        "seed": seed,
        "allow_partial": allow_partial,
        "trust_remote_code": trust_remote_code,
        "progress": progress,
    }
    if is_list(text):
        found = dict(capture_each(model, items_of(text), batch_size=batch_size, **options))
        return [_only(found[index]) for index in range(len(found))]
    if batch_size is not None:
        raise OptionError(f"batch_size={batch_size!r} goes with a list of inputs, and this is one.")
    return _only(capture_targets(model, text, **options))


def _only(traces: Sequence[Trace]) -> Trace:
    if len(traces) != 1:
        places = ", ".join(str(trace.decisions[0].positions[0]) for trace in traces[:12])
        more = ", ..." if len(traces) > 12 else ""
        raise OptionError(
            f"The model decides {len(traces)} outputs here (at positions {places}{more}), and a gradient is about "
            "one: name it with target=, or use capture_targets."
        )
    return traces[0]


def capture_targets(
    model: str | os.PathLike[str] | torch.nn.Module,
    text: str | Sequence[Mapping[str, Any]] | None = None,
    *,
    tokenizer: Any = None,
    image: Any = None,
    audio: Any = None,
    processor: Any = None,
    inputs: Mapping[str, Any] | None = None,
    target_text: str | None = None,
    generate: int | None = None,
    generate_options: Mapping[str, Any] | None = None,
    heads: str | Sequence[int] = "mean",
    record: str | Sequence[str] = "relevance",
    targets: str | Sequence[int | Sequence[int]] | None = None,
    output: int | str | Sequence[int | str] | None = None,
    steps: int = 1,
    baseline: str | None = None,
    seed: int = 0,
    allow_partial: bool = False,
    trust_remote_code: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Trace]:
    """Runs a model once and keeps what each of several outputs owes to its attention.

    One forward pass serves all targets, with one backward pass for each different output (times `steps`).

    Args:
        model: this and all other arguments as in `capture`.
        text: the input.
        tokenizer: for a loaded model.
        image: a picture, or several.
        audio: a clip.
        processor: what preprocesses them.
        inputs: keyword tensors instead of text.
        target_text: a continuation or output to teacher-force.
        generate: number of tokens to decode.
        generate_options: passed on to the model's `generate`.
        heads: "mean", or a list of head indices.
        record: what to keep; without a gradient record there is only one trace.
        targets: a list of positions or sets of them, "all" for every position in turn, or None for the model's
            default targets.
        output: the output to ask about at every target; None: what each decides.
        steps: points on the line from a baseline.
        baseline: "mask", "pad", "zero" or None.
        seed: for sampling in `generate`.
        allow_partial: treat layers without attention as identity.
        trust_remote_code: run modeling code that comes with a checkpoint.
        progress: called as `progress(done, total)`.

    Returns:
        One trace per target, whose only decision is that target and whose provenance names the output under
        "outputs": `label`, `id` (two for a contrast), `value` of y, `positions`. They share their attention weights.

    Raises:
        InputError: as in `capture`.
        OptionError: as in `capture`; a target or output that the model does not have; a set of positions
            that each have an output of their own.
        CaptureError: as in `capture`.
        MissingExtraError: as in `capture`.
    """
    _need_extra()
    from attnflow.capture import capturers

    return capturers.find(model)(
        model,
        text,
        tokenizer=tokenizer,
        image=image,
        audio=audio,
        processor=processor,
        inputs=inputs,
        target_text=target_text,
        generate=generate,
        generate_options=generate_options,
        heads=heads,
        record=record,
        targets=targets,
        output=output,
        steps=steps,
        baseline=baseline,
        seed=seed,
        allow_partial=allow_partial,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )


def capture_each(
    model: str | os.PathLike[str] | torch.nn.Module,
    texts: Iterable[Any],
    *,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Iterator[tuple[int, list[Trace]]]:
    """Captures several inputs, a batch at a time.

    Texts are taken in order of length, padded and run by one pass, with one backward pass for one output of each. What
    comes out is what each gives alone, up to rounding: attention weights agree to 1e-4 in float32 (measured: 1e-6),
    which is checked on a padded input before any batch is believed. Inputs that are not ids, norms, models in half
    precision and families in which padding shows are run one by one.

    Args:
        model: as in `capture`.
        texts: texts, chats, pictures or clips.
        batch_size: most inputs per pass; None for 8. No more is held than one batch needs.
        progress: called as `progress(done, total)` after every input.
        options: of `capture_targets`, for every input.

    Yields:
        The index of an input and its traces, as from `capture_targets`, in the order in which they are done.

    Raises:
        InputError: an input that the model cannot read; the message says which.
        OptionError: as in `capture_targets`.
        CaptureError: as in `capture`.
    """
    items, size = items_of(texts), parse_batch_size(batch_size)
    _need_extra()
    from attnflow.capture import capturers

    known = signature(capture_targets).parameters
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise unknown_name("option", unknown, [name for name in known if name not in ("model", "text")])
    defaults = {name: option.default for name, option in known.items() if name not in ("model", "text")}
    options = {**defaults, **options, "progress": None}
    together = capturers.find_each(model)
    if together is None:
        found = _one_by_one(capturers.find(model), model, items, options)
    else:
        found = together(model, items, batch_size=size, **options)
    for done, pair in enumerate(found, start=1):
        if progress is not None:
            progress(done, len(items))
        yield pair


def _one_by_one(
    one: Callable[..., list[Trace]], model: Any, items: Sequence[Any], options: Mapping[str, Any]
) -> Iterator[tuple[int, list[Trace]]]:
    for index, item in enumerate(items):
        try:
            yield index, one(model, item, **options)
        except InputError as error:
            raise InputError(f"Text {index + 1} of {len(items)}: {error}") from error


def load_model(
    model: str | os.PathLike[str] | torch.nn.Module,
    tokenizer: Any = None,
    *,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """Loads a model with the head its checkpoint has, and the tokenizer beside it.

    Load once and hand both to `capture` to explain many inputs.

    Args:
        model: a bundled name, a local directory, a hub id, or a model already loaded (returned as it is).
        tokenizer: a tokenizer, the place of one, or None for the one that belongs to the model.
        trust_remote_code: run modeling code that comes with the checkpoint.

    Returns:
        The transformers model, in eval mode if it was loaded here, and the tokenizer, None if there is none.

    Raises:
        OptionError: no such model.
        CaptureError: not a transformers model; or the directory cannot be loaded as it is: no
            configuration, pickled weights, weights missing, remote code without leave.
        InputError: no tokenizer at the place named.
        MissingExtraError: torch, transformers or a bundled model's package is not installed.
    """
    _need_extra()
    from attnflow.capture import loading

    return loading.load_model(model, tokenizer, trust_remote_code=trust_remote_code)


def _need_extra() -> None:
    for package in ("torch", "transformers"):
        try:
            import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise MissingExtraError(package, "hf") from error
