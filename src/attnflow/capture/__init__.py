"""From a model and an input to a `Trace`.

`capture` runs any transformers model once and keeps what it attended to; `load_model` reads the model it
would use. Importing this package loads neither torch nor transformers: calling one of the two does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnflow.errors import MissingExtraError
from attnflow.trace import Trace

if TYPE_CHECKING:
    import torch

__all__ = ["capture", "load_model"]


def capture(
    model: str | os.PathLike[str] | torch.nn.Module,
    text: str | None = None,
    *,
    tokenizer: Any = None,
    inputs: Mapping[str, Any] | None = None,
    target_text: str | None = None,
    generate: int = 0,
    generate_options: Mapping[str, Any] | None = None,
    heads: str | Sequence[int] = "mean",
    record: str = "attention",
    seed: int = 0,
    allow_partial: bool = False,
    trust_remote_code: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Runs a model on one input and keeps what it attended to.

    Args:
        model: a transformers model, a local directory, the name of a bundled model, or a hub id. A model
            handed in is left as it was found, also if an error is raised.
        text: the input; the source text of an encoder-decoder.
        tokenizer: for a loaded model; default the one at `model.name_or_path`.
        inputs: keyword tensors of the model instead of text, batch of one. Padding, as `attention_mask`
            says, is run as given and then cropped; a prompt that is continued loses it before.
            `decoder_input_ids` are used as given. Without a tokenizer tokens are named by id.
        target_text: a continuation (decoder-only) or output (encoder-decoder) to teacher-force.
        generate: number of tokens to decode, greedily unless `generate_options` say otherwise; fewer if the
            model ends. The trace is of one teacher-forced pass over prompt and tokens, all but the last one.
        generate_options: passed on to the model's `generate`.
        heads: "mean", "max", "all" to keep every head, or a list of head indices whose mean is kept.
        record: what to keep of each layer; see `attnflow.capture.records`.
        seed: for sampling in `generate`; the random state of torch is left alone.
        allow_partial: treat layers without attention as identity and mark the trace.
        trust_remote_code: run modeling code that comes with a checkpoint.
        progress: called as `progress(done, total)` after every attention layer.

    Returns:
        The trace: per layer `[queries, keys]` (`[heads, queries, keys]` for heads="all"), float32, or
        float64 if the model computes in it.

    Raises:
        InputError: text or tensors that the model cannot read: empty, too long, more than one example.
        OptionError: unknown or contradictory options; a model that does not exist.
        CaptureError: a model without attention, or whose attention is not one matrix per layer over one
            sequence.
        MissingExtraError: torch, transformers or a bundled model's package is not installed.

    Warns:
        PositionsWarning: the input is longer than anything a model without position tables was trained on.
    """
    _need_extra()
    from attnflow.capture import huggingface

    return huggingface.capture(
        model,
        text,
        tokenizer=tokenizer,
        inputs=inputs,
        target_text=target_text,
        generate=generate,
        generate_options=generate_options,
        heads=heads,
        record=record,
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
