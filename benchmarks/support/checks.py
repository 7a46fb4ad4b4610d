"""What is checked of one model type, through the public API alone."""

from __future__ import annotations

import copy
import re
import traceback
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from benchmarks.support.examples import examples
from benchmarks.support.tiny import tiny
from benchmarks.support.types import ModelType, find_class

#: Largest parameter count that is built: anything above is a size that the rules missed.
LARGEST = 60_000_000
TOLERANCE = 2e-5


@dataclass
class Row:
    """The outcome for one model type.

    Attributes:
        type, model: model type and class tried.
        status: "supported", "partial", "refused", "no attention", "not tried" or "failing".
        reason: why, where it is not supported.
        inputs: what the model read.
        architecture: of the trace.
        layers: number of matrices by stack.
        checks: what was compared, and found equal.
        gradient: "yes", or why relevance cannot be had.
        softmax: shapes of the softmax weights that an eager pass computes, as an independent look.
        seconds: wall time.
    """

    type: str
    model: str
    status: str = "failing"
    reason: str = ""
    inputs: str = ""
    architecture: str = ""
    layers: dict[str, int] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    gradient: str = ""
    softmax: list[str] = field(default_factory=list)
    seconds: float = 0.0


class NotTriedError(Exception):
    """No tiny instance, or nothing that it reads: says nothing about capture."""


class UnlikeError(Exception):
    """A check found a difference."""


def check(kind: ModelType, verbose: bool = False) -> dict[str, Any]:
    """Builds, captures, compares and explains one model type."""
    from benchmarks.support.overrides import CLASSES

    classes = CLASSES.get(kind.name, kind.classes[:1])
    rows = []
    for name in classes:
        row = Row(kind.name, name)
        rows.append(row)
        try:
            _check(kind, name, row)
        except ImportError as error:
            row.status, row.reason = (
                "not tried",
                f"needs a package that is not installed: {_line(error)[:80]}",
            )
        except NotTriedError as error:
            row.status, row.reason = "not tried", _line(error)
        except Exception as error:
            if verbose:
                traceback.print_exc()
            row.status, row.reason = "failing", f"{type(error).__name__}: {_line(error)}"
            frame = traceback.extract_tb(error.__traceback__)[-1]
            row.reason += f" ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})"
        if row.status in ("supported", "partial"):
            break
    return asdict(rows[-1])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


def build(kind: str, name: str) -> Any:
    """A tiny random model in eval mode.

    Raises:
        ValueError: it is not tiny.
    """
    cls = find_class(kind, name)
    config = _own_part(tiny(kind), cls)
    torch.manual_seed(1)
    for part in _configs(config):
        part._attn_implementation_internal = None
    model = cls(config).eval()
    start = model.generation_config if getattr(model, "generation_config", None) is not None else config
    if (
        getattr(config, "is_encoder_decoder", False)
        and getattr(start, "decoder_start_token_id", None) is None
    ):
        start.decoder_start_token_id = getattr(config, "pad_token_id", None) or 0
    size = sum(parameter.numel() for parameter in model.parameters())
    if size > LARGEST:
        raise ValueError(f"{size:,} parameters are not tiny")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.is_floating_point():
                continue
            if parameter.ndim > 1 or name.endswith(
                "sinks"
            ):  # the usual 0.02 makes all attention nearly uniform
                read = max(1, parameter.numel() // max(1, parameter.shape[0]))
                spread = 1.0 if name.endswith("sinks") else min(0.3, 2 / read**0.5)
                parameter.normal_(0, spread, generator=generator)
            elif not bool(parameter.isfinite().all()):
                parameter.fill_(1.0)
    return model


def _own_part(config: Any, cls: Any) -> Any:
    """The part of a configuration that a class reads: the whole, or that of a model inside the model."""
    if isinstance(config, cls.config_class):
        return config
    return next((part for part in _configs(config) if type(part) is cls.config_class), config)


def _configs(config: Any) -> list[Any]:
    from transformers import PreTrainedConfig

    found = [config]
    for value in vars(config).values():
        if isinstance(value, PreTrainedConfig):
            found += _configs(value)
    return found


def eager(model: Any) -> Any:
    """A copy that computes eager attention."""
    other = copy.deepcopy(model)
    for module in other.modules():
        config = getattr(module, "config", None)
        if hasattr(config, "_attn_implementation_internal"):
            for part in _configs(config):
                part._attn_implementation_internal = "eager"
    return other.eval()


class SoftmaxSpy(torch.overrides.TorchFunctionMode):
    """Notes the shape of every softmax of at least three dimensions, and every fused attention."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == "multi_head_attention_forward":
            query, key = args[0], args[1]
            self.shapes.append((query.shape[1], args[4], query.shape[0], key.shape[0]))
        out = func(*args, **(kwargs or {}))
        if name in ("softmax", "_softmax") and torch.is_tensor(out) and out.ndim >= 3:
            along = (kwargs or {}).get("dim", args[1] if len(args) > 1 else -1)
            if along not in (-1, out.ndim - 1):  # classes at each place of a picture
                return out
            self.shapes.append(tuple(out.shape))
        if name == "scaled_dot_product_attention":
            self.shapes.append((*args[0].shape[:-1], args[1].shape[-2]))
        return out


def run(model: Any, inputs: dict[str, Any], **options: Any) -> Any:
    import inspect

    takes = inspect.signature(model.forward).parameters
    more = {"return_dict": True, "use_cache": False}
    torch.manual_seed(0)  # some draw their patches
    with torch.no_grad():
        return model(**inputs, **{k: v for k, v in more.items() if k in takes}, **options)


def _example(model: Any, row: Row) -> dict[str, Any]:
    errors: dict[str, str] = {}
    for label, inputs in examples(model):
        try:
            run(model, inputs)
        except Exception as error:
            errors.setdefault(label, f"{label}: {type(error).__name__} {_line(error)[:150]}")
            continue
        row.inputs = label
        return inputs
    raise NotTriedError("no input here that it runs on: " + " | ".join(errors.values()))


def _check(kind: ModelType, name: str, row: Row) -> None:
    from attnflow.capture.towers import is_dual, tower_models
    from benchmarks.support.overrides import NOT_TRIED

    if kind.name in NOT_TRIED:
        raise NotTriedError(NOT_TRIED[kind.name])
    try:
        model = build(kind.name, name)
    except ImportError:
        raise
    except Exception as error:
        raise NotTriedError(f"no tiny instance of it: {type(error).__name__} {_line(error)}") from error
    if not is_dual(model):
        _check_part(model, model, _example(eager(model), row), row)
        return
    labels, short = [], []
    for part in tower_models(model):  # no attention runs between them: each is explained by itself
        name = type(part).__name__
        try:
            _check_part(model, part, _example(eager(part), row), row)
        except NotTriedError as error:
            row.status, row.reason = "not tried", _line(error)
        if row.status in ("supported", "partial"):
            labels.append(row.inputs)
        else:
            short.append(f"{name}: {row.status}, {row.reason}")
    if labels:
        row.status, row.reason, row.inputs = "supported", "; ".join(short), f"each tower: {', '.join(labels)}"


def _check_part(model: Any, part: Any, inputs: dict[str, Any], row: Row) -> None:
    """Checks a model, or the tower of it that reads these inputs."""
    import attnflow
    from attnflow.errors import CaptureError, InputError

    spy = SoftmaxSpy()
    other = eager(part)
    with spy:
        run(other, inputs)
    row.softmax = [f"{shape}" for shape in dict.fromkeys(spy.shapes)]
    before = run(part, inputs)
    seen: list[Any] = []
    handle = part.register_forward_hook(lambda module, args, output: seen.append(output))
    partial = False
    torch.manual_seed(0)
    try:
        try:
            trace = attnflow.capture(model, inputs=inputs)
        except (CaptureError, InputError) as error:
            row.status, row.reason = "refused", _line(error)
            if isinstance(error, InputError) and not re.search(
                "batch of|codebooks|has a tower each", str(error)
            ):
                raise
            if "allow_partial" not in str(error):
                if not spy.shapes:
                    row.status = "no attention"
                return
            partial = True
            trace = attnflow.capture(model, inputs=inputs, allow_partial=True)
            if not trace.partial:
                raise UnlikeError("a partial trace that is not marked") from error
    finally:
        handle.remove()
    row.architecture = trace.architecture
    record = trace.record("attention")
    stacks = {"encoder": record.encoder, "decoder": record.decoder, "cross": record.cross}
    row.layers = {stack: len(layers) for stack, layers in stacks.items() if layers}
    row.checks = []
    _same_logits(seen, run(other, inputs), before, run(part, inputs), row)
    _same_attention(part, other, inputs, stacks, row, partial)
    _rows(stacks, trace.sinks, row)
    _explained(attnflow, model, inputs, trace, row, partial)
    _gradient(attnflow, model, inputs, row, partial)
    row.status = "partial" if partial else "supported"


def logits_of(outputs: Any) -> torch.Tensor | None:
    if torch.is_tensor(outputs):
        return outputs
    for name in (
        "logits",
        "prediction_logits",
        "last_hidden_state",
        "start_logits",
        "pred_boxes",
        "logits_per_image",
    ):
        found = getattr(outputs, name, None)
        if torch.is_tensor(found):
            return found
    values = (
        outputs.values()
        if isinstance(outputs, dict)
        else outputs
        if isinstance(outputs, tuple)
        else [outputs]
    )
    return next((value for value in values if torch.is_tensor(value) and value.is_floating_point()), None)


def _same_logits(seen: list[Any], expected: Any, before: Any, after: Any, row: Row) -> None:
    first, wanted = logits_of(seen[0]), logits_of(expected)
    found, again = logits_of(before), logits_of(after)
    if first is None or wanted is None or found is None or again is None:
        return
    scale = max(1.0, float(wanted.abs().max()))
    if not any(
        (got := logits_of(one)) is not None
        and got.shape == wanted.shape
        and float((got - wanted).abs().max()) <= 1e-5 * scale
        for one in seen
    ):
        raise UnlikeError(f"logits differ from the eager run's by {float((first - wanted).abs().max()):.2g}")
    if found.shape != again.shape or not torch.allclose(found, again, atol=1e-5 * scale, equal_nan=True):
        raise UnlikeError("the model answers otherwise after the capture")
    row.checks.append("logits")


def _same_attention(model: Any, other: Any, inputs: Any, stacks: Any, row: Row, partial: bool) -> None:
    """Compares with the attentions that the family itself returns, wherever it returns square ones."""
    try:
        outputs = run(other, inputs, output_attentions=True)
    except Exception:  # a family that returns none
        return
    own = {
        "encoder": getattr(outputs, "encoder_attentions", None),
        "decoder": getattr(outputs, "decoder_attentions", None),
        "cross": getattr(outputs, "cross_attentions", None),
    }
    single = getattr(outputs, "attentions", None)
    if single and not stacks["cross"]:
        own = {"encoder": single, "decoder": single, "cross": None}
    compared = 0
    for stack, layers in stacks.items():
        returned = own[stack]
        if not layers or not returned or not isinstance(returned, (list, tuple)):
            continue
        theirs = [layer for layer in returned if torch.is_tensor(layer) and layer.ndim >= 3]
        if any(
            float(layer.min()) < 0 for layer in theirs
        ):  # scores before the softmax, handed out as attention
            continue
        ours = list(layers)
        if partial:
            eye = np.eye(*ours[0].shape)
            ours = [layer for layer in ours if not np.array_equal(layer, eye)]
        if not theirs or (partial and len(theirs) != len(ours)):  # linear attention hands out its own
            continue
        theirs = [layer for layer in theirs if tuple(layer.shape[-2:]) == ours[0].shape[-2:]]
        if not theirs:  # those of another part: the towers of a model, the other half of a codec
            continue
        if len(theirs) > len(ours):
            raise UnlikeError(f"{stack}: {len(ours)} layers captured, the model returns {len(theirs)}")
        for number, (a, b) in enumerate(zip(ours, theirs)):
            mean = b.float()
            if mean.ndim == 4 and mean.shape[0] == 1:
                mean = mean[0]
            if mean.ndim != 3 or tuple(mean.shape[-2:]) != a.shape:
                raise UnlikeError(
                    f"{stack} layer {number}: {list(a.shape)} captured, the model returns {list(b.shape)}"
                )
            off = float(np.abs(mean.mean(0).numpy() - a).max())
            if off > TOLERANCE:
                raise UnlikeError(
                    f"{stack} layer {number}: differs from the model's own attention by {off:.2g}"
                )
            compared += 1
    if compared:
        row.checks.append("attentions")


def _rows(stacks: Any, sinks: bool, row: Row) -> None:
    for stack, layers in stacks.items():
        for number, layer in enumerate(layers):
            if not np.isfinite(layer).all() or layer.min() < 0:
                raise UnlikeError(f"{stack} layer {number}: no weights")
            sums = layer.sum(-1)
            if not sinks and np.abs(sums - 1).max() > 1e-3:
                raise UnlikeError(f"{stack} layer {number}: rows sum to {sums.min():.3f} .. {sums.max():.3f}")
    row.checks.append("rows" if not sinks else "rows (sinks)")


def reached(trace: Any) -> np.ndarray:
    """Whether each player has a path to each target, by products of boolean matrices."""
    record = trace.record("attention")

    def through(layers: Any, start: np.ndarray) -> np.ndarray:
        for layer in layers:
            start = ((layer > 0).astype(float) @ start + start) > 0
        return start

    if trace.architecture != "encoder-decoder":
        layers = record.encoder or record.decoder
        return through(layers, np.eye(layers[0].shape[0]) > 0)
    n, m = record.cross[0].shape[1], record.cross[0].shape[0]
    source = np.concatenate([through(record.encoder, np.eye(n) > 0), np.zeros((n, m))], axis=1) > 0
    state = np.concatenate([np.zeros((m, n)), np.eye(m)], axis=1) > 0
    for own, cross in zip(record.decoder, record.cross):
        state = ((own > 0).astype(float) @ state + state) > 0
        state = ((cross > 0).astype(float) @ source + state) > 0
    return state


def _explained(attnflow: Any, model: Any, inputs: Any, trace: Any, row: Row, partial: bool) -> None:
    size = len(trace.final_tokens)
    network = attnflow.FlowNetwork.from_trace(trace)
    options: dict[str, Any] = {"bounds": False, "threads": 1}
    for target in dict.fromkeys((size - 1, size // 2)):
        paths = reached(trace)[target]
        for method in ("flow", "shapley", "rollout"):
            more = {"samples": 32} if method == "shapley" else {}
            result = attnflow.attribute(network, method=method, targets=[target], **options, **more)
            total, scores = float(result.total[0]), result.scores[0]
            if not (abs(total - 1) < 1e-3 or (trace.sinks and 0 < total < 1)):
                raise UnlikeError(f"F1: v(N) = {total:.4f} at target {target}")
            if len(scores) != len(paths):
                raise UnlikeError(f"{len(scores)} players for {len(paths)} positions")
            if np.abs(scores[~paths]).max(initial=0) > 0:
                raise UnlikeError(
                    f"F5: {method} gives {np.abs(scores[~paths]).max():.2g} to a player without a path"
                )
            sums = method == "shapley" or (method == "rollout" and not trace.sinks)
            if sums and abs(scores.sum() - total) > 1e-6:
                raise UnlikeError(f"{method} sums to {scores.sum():.6f}, not to v(N) = {total:.6f}")
    attnflow.explain(model, inputs=inputs, method="flow", allow_partial=partial, **options)
    row.checks += ["explained", "F1", "F5"]


def _gradient(attnflow: Any, model: Any, inputs: Any, row: Row, partial: bool) -> None:
    from attnflow.errors import AttnflowError

    try:
        result = attnflow.explain(
            model,
            inputs=inputs,
            method="flow",
            capacity="relevance",
            bounds=False,
            threads=1,
            allow_partial=partial,
        )
    except AttnflowError as error:
        row.gradient = _line(error)
        return
    results = result if isinstance(result, list) else [result]
    if not all(np.isfinite(one.scores).all() for one in results):
        raise UnlikeError("relevance scores that are not finite")
    row.gradient = "yes"


def short(reason: str) -> str:
    return re.sub(r"\s+", " ", reason)
