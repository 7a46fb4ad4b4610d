"""One pass of any PyTorch model, kept as a `Trace`.

`torch.nn.Transformer` and its parts, models built of `torch.nn.MultiheadAttention` or
`scaled_dot_product_attention` (timm's vision transformers among them), and classes that were registered. The model runs
once in eval mode, exactly as it is called, and is left as it was found.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch

from attnflow.capture.arrangement import arranged, of_one_output
from attnflow.capture.backward import Backward
from attnflow.capture.custom import custom_of
from attnflow.capture.decisions import Ending, decide
from attnflow.capture.gradients import Gathered
from attnflow.capture.interface import LOCK
from attnflow.capture.line import line_to, parse_steps
from attnflow.capture.outputs import Question, ask
from attnflow.capture.passes import Passes, logits_of
from attnflow.capture.pooling import Pooled
from attnflow.capture.provenance import provenance
from attnflow.capture.readings import Sides, ending_of, laid_out, read
from attnflow.capture.records import Heads, parse_heads, parse_records
from attnflow.capture.roles import Roles, assign
from attnflow.capture.stand_in import StandIn, stand_in
from attnflow.capture.state import as_found
from attnflow.errors import CaptureError, InputError, OptionError
from attnflow.trace import GRADIENT_RECORDS, Record, Trace

#: Options that only models of other kinds have, and what stands in their way here.
_FOREIGN = {
    "generate": "decode it yourself, and pass what was decoded as target_text or inputs",
    "generate_options": "decode it yourself, and pass what was decoded as target_text or inputs",
    "image": "turn it into the tensor that the model reads, and pass that as inputs",
    "audio": "turn it into the tensor that the model reads, and pass that as inputs",
    "processor": "turn the input into the tensor that the model reads, and pass that as inputs",
    "trust_remote_code": "the model is loaded already",
}


def is_module(model: Any) -> bool:
    """Whether this is a PyTorch model of some kind."""
    return isinstance(model, torch.nn.Module)


@torch.inference_mode(False)  # type: ignore[untyped-decorator]
def captures(
    model: torch.nn.Module,
    text: Any,
    *,
    tokenizer: Any = None,
    inputs: Any = None,
    target_text: str | None = None,
    heads: str | Sequence[int] = "mean",
    record: str | Sequence[str] = "attention",
    targets: str | Sequence[int | Sequence[int]] | None = None,
    output: Any = None,
    steps: int = 1,
    baseline: str | None = None,
    seed: int = 0,
    allow_partial: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **foreign: Any,
) -> list[Trace]:
    """Runs a PyTorch model on one input; see `attnflow.capture.capture_targets` for everything.

    Raises:
        InputError: text that nobody told how to read, more than one example, inputs that the model cannot run on.
        OptionError: options for other kinds of models.
        CaptureError: attention that was not seen, or that makes no stack.
    """
    refused = next((name for name, value in foreign.items() if not _is_default(value)), None)
    if refused is not None:
        raise OptionError(
            f"{refused}={foreign[refused]!r} does not go with {type(model).__name__}, a PyTorch model: "
            f"{_FOREIGN.get(refused, 'leave it out')}."
        )
    inner = getattr(model, "_orig_mod", model)  # inside a compiled one
    custom = custom_of(inner)
    reduction, names = _records(heads, record, targets, output, steps)
    parse_steps(steps, baseline)
    gradient_names = tuple(name for name in names if name in GRADIENT_RECORDS)
    reading = read(inner, custom, tokenizer, text, target_text, inputs)
    standing = stand_in(inner, custom, tokenizer)
    with LOCK, as_found(inner):
        passes = Passes(inner, custom, reading, reduction, "norm" in names, progress)
        outputs = passes.run()
        roles = assign(inner, custom, passes.seen, allow_partial)
        reading, media = laid_out(standing, inner, reading, roles, passes.stem)
        ending, sides = ending_of(inner, reading, roles)
        logits = logits_of(inner, custom, outputs, roles)
        if logits is not None and logits.ndim == 2:
            ending = replace(ending, pooled=Pooled(passes.pooled(roles)))
        standing.settle(ending, logits)
        keep = roles.keep[0 if ending.architecture == "encoder" else 1]
        heads_read = SimpleNamespace(logits=None if logits is None else logits.detach())
        decisions, decides = decide(standing, standing.words, heads_read, ending, keep)
        questions: tuple[Question, ...] = ()
        gathered: list[Gathered] = []
        line = None
        if gradient_names:
            questions = ask(
                standing, standing.words, heads_read, ending, keep, decisions, decides, targets, output
            )
            if steps > 1:
                line = line_to(
                    standing, standing, standing.words, baseline, _moving(standing, ending, sides, roles)
                )
            backward = Backward(gradient_names, reduction)

            def again(alpha: float) -> Any:
                with contextlib.nullcontext() if line is None or alpha == 1 else line.at(alpha):
                    found = passes.follow(backward, roles)
                with torch.enable_grad():
                    return SimpleNamespace(logits=logits_of(inner, custom, found, roles))

            gathered = backward.gather(inner, again, again(1.0), questions, steps, progress)
    options: dict[str, Any] = {
        "heads": reduction.name,
        "record": list(names) if len(names) > 1 else names[0],
        "target_text": target_text,
        "seed": seed,
        "allow_partial": allow_partial,
    }
    if gradient_names:
        options |= {"output": output, "steps": steps, "baseline": None if line is None else line.name}
    records = {
        "attention": Record(roles.stacks.encoder, roles.stacks.decoder, roles.stacks.cross),
    }
    if passes.norms is not None:
        records["norm"] = arranged(inner, "norm", passes.norms.layers, roles)
    try:
        trace = Trace(
            architecture=ending.architecture,
            records=records,
            encoder_tokens=sides[0],
            decoder_tokens=sides[1],
            heads=reduction.name,
            prompt=None if ending.course is None else ending.course.prompt,
            decisions=decisions,
            decides=decides,
            sinks=roles.blind,
            dtype=roles.stacks.dtype,
            partial=roles.stacks.partial,
            text=reading.text,
            causal=roles.stacks.causal,
            media=media,
            provenance={
                **provenance(inner, type(inner).__name__, None, options),
                "source": "pytorch",
            },
        )
        if not gradient_names:
            return [trace]
        return [of_one_output(inner, trace, roles, *pair) for pair in zip(questions, gathered)]
    except InputError as error:
        raise CaptureError(f"{type(inner).__name__}: {error}") from error


def _is_default(value: Any) -> bool:
    return value is None or (isinstance(value, (bool, int, Mapping)) and not value)


def _records(heads: Any, record: Any, targets: Any, output: Any, steps: int) -> tuple[Heads, tuple[str, ...]]:
    reduction = parse_heads(heads)
    names = parse_records(record, reduction)
    if not any(name in GRADIENT_RECORDS for name in names) and (
        targets is not None or output is not None or steps != 1
    ):
        raise OptionError(
            f"target, output and steps ask about one output, but {', '.join(names)} is the same whatever output is "
            f"asked about: leave them out, or keep a gradient record ({', '.join(GRADIENT_RECORDS)})."
        )
    return reduction, names


def _moving(standing: StandIn, ending: Ending, sides: Sides, roles: Roles) -> tuple[bool, ...] | None:
    """Per position that is embedded whether it moves along the line; None if nothing is embedded by name."""
    side = 0 if sides[0] else 1
    tokens, keep, size = sides[side], roles.keep[side], roles.stacks.padded[side] or 0
    if standing.embedding is None or any(token.id is None for token in tokens):
        return None
    moving = [False] * size
    for place, token in zip(range(size) if keep is None else keep, tokens):
        moving[place] = not token.special
    return tuple(moving)
