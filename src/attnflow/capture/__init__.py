"""From a model and an input to a `Trace`.

`capture` runs any transformers model and keeps what it attended to; `capture_targets` does so for several
outputs at once, where what is kept belongs to one output each. `load_model` reads the model they would use.
Importing this package loads neither torch nor transformers: calling one of the three does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnflow.errors import MissingExtraError, OptionError
from attnflow.trace import Trace

if TYPE_CHECKING:
    import torch

__all__ = ["capture", "capture_targets", "load_model"]


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
    progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Runs a model on one input and keeps what it attended to.

    Args:
        model: a transformers model, a local directory, the name of a bundled model, or a hub id; or a PyTorch model, a
            class of your own told to `register_model`, or a cache of TransformerLens. A model handed in is left as it
            was found, also if an error is raised.
        text: the input; the source text of an encoder-decoder. Or a chat: a list of messages, each a mapping with
            `role` and `content` (text, or a list of text parts). The tokenizer's chat template renders it, up to
            where the assistant's answer begins; a last message by the assistant is continued. A model that
            cannot generate, such as a classifier of chats, reads the finished chat.
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
        progress: called as `progress(done, total)` after every attention layer, then after every backward pass if
            there are several.

    Returns:
        The trace: per layer `[queries, keys]` (`[heads, queries, keys]` for heads="all"), float32, or
        float64 if the model computes in it.

    Raises:
        InputError: text or tensors that the model cannot read: empty, too long, more than one example.
        OptionError: unknown or contradictory options; a model that does not exist.
        CaptureError: a model without attention, or whose attention is not one matrix per layer over one
            sequence; for gradients, a model without output, or that cannot be differentiated.
        MissingExtraError: torch, transformers or a bundled model's package is not installed.

    Warns:
        PositionsWarning: the input is longer than anything a model without position tables was trained on.
    """
    traces = capture_targets(
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
        targets=None if target is None else [target],
        output=output,
        steps=steps,
        baseline=baseline,
        seed=seed,
        allow_partial=allow_partial,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
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
