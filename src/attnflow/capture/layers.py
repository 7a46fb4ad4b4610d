"""From the reports of one pass to the layers of each stack, in order and complete."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.capture.interface import Report
from attnflow.capture.stacks import CROSS, INDEXED, Crossed, attending, check_any
from attnflow.errors import CaptureError

Matrix = NDArray[np.floating[Any]]
Calls = tuple[int | None, ...]

_NUMBERED = re.compile(r"\.\d+$")
#: Parameters, or maps that compute them, of what attention is paid to beside the positions.
_SINK = re.compile(r"(?<![a-z])sinks?(?![a-z])")
#: Names of modules that carry information along the sequence in a state of their own.
RECURRENT = re.compile(
    r"mamba|\bssm|_ssm|rg_?lru|recurrent|delta_?net|retention|lightning|linear_?att|kimidelta", re.IGNORECASE
)


@dataclass(frozen=True)
class Stacks:
    """The layers of each stack, first layer first; padding cropped.

    Attributes:
        encoder, decoder, cross: matrices as in `attnflow.trace.Record`.
        partial: names of layers without attention that stand as identity.
        dtype: dtype of the weights in the model.
        calls: per stack, for every layer the number of the call it comes from, None for an identity.
        causal: whether no decoder position reads a later one.
        padded: number of encoder (or only) and decoder positions before cropping, None without that stack.
    """

    encoder: tuple[Matrix, ...] = ()
    decoder: tuple[Matrix, ...] = ()
    cross: tuple[Matrix, ...] = ()
    partial: tuple[str, ...] = ()
    dtype: str = "float32"
    causal: bool = True
    padded: tuple[int | None, int | None] = (None, None)
    calls: dict[str, Calls] = field(default_factory=dict)


def single_stack(
    model: torch.nn.Module,
    reports: Sequence[Report],
    keep: Sequence[int] | None,
    size: int | None,
    allow_partial: bool,
    decodes: bool = False,
) -> Stacks:
    """Arranges the layers of a model with one stack, as `decoder` if all of them are causal, else `encoder`.

    Args:
        model: the model that ran.
        reports: in the order of computation.
        keep: positions that are not padding, or None for all.
        size: number of positions of the input before cropping, or None to take the first layer's.
        allow_partial: whether layers without attention may stand as identity.
        decodes: whether it is a decoder even if it reads its prompt, or images within it, in both directions.

    Raises:
        CaptureError: layers that are not square, not finite, missing, or reported more than once.
    """
    if size is None and not reports[0].shape:
        size = reports[0].kept.shape[-1]
    cropped = [_cropped(model, report, (size, size), (keep, keep)) for report in reports]
    layers, calls, partial = _complete(model, "self-attention", cropped, allow_partial)
    beside = recurrent_beside(model, reports)
    if beside and not allow_partial:
        raise CaptureError(
            f"{type(model).__name__} also carries information between positions beside self-attention: "
            f"{_shown(beside)}; expected attention alone. allow_partial=True leaves that out and marks the result."
        )
    partial += beside
    dtype = reports[0].dtype
    causal = all(_causal(report.kept) for report in cropped)
    if layers[0].shape[-1] == 1:
        decodes = statically_causal(model)
    elif not causal and getattr(model, "can_generate", lambda: False)():
        decodes = decodes or statically_causal(model)  # its prompt is read in both directions
    if decodes or (causal and layers[0].shape[-1] > 1):
        return Stacks(
            decoder=layers,
            partial=partial,
            dtype=dtype,
            causal=causal,
            padded=(None, size),
            calls={"decoder": calls},
        )
    return Stacks(encoder=layers, partial=partial, dtype=dtype, padded=(size, None), calls={"encoder": calls})


def encoder_decoder_stacks(
    model: torch.nn.Module,
    reports: Sequence[Report],
    keep: tuple[Sequence[int] | None, Sequence[int] | None],
    sizes: tuple[int | None, int | None],
    allow_partial: bool,
) -> Stacks:
    """Arranges the layers of an encoder-decoder: encoder, decoder self-attention and cross-attention.

    Args:
        model: the model that ran.
        reports: in the order of computation.
        keep: encoder and decoder positions that are not padding, or None for all.
        sizes: number of encoder and decoder positions before cropping, or None to take them from the layers.
        allow_partial: whether layers without attention may stand as identity.

    Raises:
        CaptureError: as for `single_stack`, or self- and cross-attention cannot be told apart.
    """
    check_any(model, reports)
    reports = attending(model, reports)
    encoder, rest = by_side(model, reports)
    if not encoder or not rest:
        raise CaptureError(
            f"{type(model).__name__}: found {len(encoder)} encoder and {len(rest)} decoder attention "
            "layers, expected some of each."
        )
    blocked = any(report.shape for report in encoder)
    if blocked and not allow_partial:
        raise CaptureError(
            f"{type(model).__name__}: its encoder attends in windows or blocks, which is no stack over one sequence; "
            "expected one. allow_partial=True explains the decoder, with what the encoder makes of each place as input."
        )
    front = [report for report in rest if CROSS.search(report.name)] if blocked else encoder
    n = (front or rest)[0].kept.shape[-1] if sizes[0] is None else sizes[0]
    m = rest[0].kept.shape[-2] if sizes[1] is None else sizes[1]
    cross: list[Report] = []
    own: list[Report] = []
    for report in rest:
        (cross if _is_cross(model, report, n, m) else own).append(report)
    if len(own) != len(cross):
        raise CaptureError(
            f"{type(model).__name__}: found {len(own)} decoder self-attention and {len(cross)} "
            "cross-attention layers, "
            "expected one of each per decoder layer; models that merge the two cannot be captured."
        )
    found = Crossed(() if blocked else tuple(encoder), tuple(own), tuple(cross))
    return crossed_stacks(model, found, keep, (n, m), allow_partial)


def crossed_stacks(
    model: torch.nn.Module,
    found: Crossed,
    keep: tuple[Sequence[int] | None, Sequence[int] | None],
    sizes: tuple[int, int],
    allow_partial: bool,
) -> Stacks:
    """Arranges the layers of an encoder and its decoder; see `encoder_decoder_stacks`.

    An encoder without layers here stands as one identity.
    """
    n, m = sizes
    parts: dict[str, tuple[Matrix, ...]] = {}
    calls: dict[str, Calls] = {}
    partial: tuple[str, ...] = ()
    for name, reports, shape, kept in (
        ("encoder", found.encoder, (n, n), (keep[0], keep[0])),
        ("decoder", found.decoder, (m, m), (keep[1], keep[1])),
        ("cross", found.cross, (m, n), (keep[1], keep[0])),
    ):
        if not reports:
            size = n if kept[0] is None else len(kept[0])
            kind = type(model.get_encoder()).__name__
            parts[name], calls[name] = (np.eye(size, dtype=np.float32),), (None,)
            partial += (f"encoder ({kind})",)
            continue
        cropped = [_cropped(model, report, shape, kept) for report in reports]
        parts[name], calls[name], missing = _complete(
            model, f"{name} attention", cropped, allow_partial and name == "encoder"
        )
        partial += missing
    causal = all(_causal(layer) for layer in parts["decoder"])
    dtype = found.decoder[0].dtype
    return Stacks(**parts, partial=partial, dtype=dtype, causal=causal, padded=(n, m), calls=calls)


def by_side(model: torch.nn.Module, reports: Sequence[Report]) -> tuple[list[Report], list[Report]]:
    """Splits the reports of an encoder-decoder into those of its encoder and the rest."""
    inside = encoder_names(model)
    sides: tuple[list[Report], list[Report]] = ([], [])
    for report in reports:
        sides[0 if report.name in inside else 1].append(report)
    return sides


def statically_causal(model: torch.nn.Module) -> bool:
    """Tells from its classes and configuration whether a model with one stack decodes from left to right."""
    from transformers.models.auto import modeling_auto

    config = getattr(model, "config", None)
    flags = [
        module.is_causal
        for module in model.modules()
        if isinstance(getattr(module, "is_causal", None), bool) and not CROSS.search(type(module).__name__)
    ]
    if flags:
        return all(flags)
    if getattr(config, "is_decoder", False):
        return True
    if getattr(config, "attn_type", None) == "bi":  # XLNet
        return False
    kind = getattr(config, "model_type", None)
    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return kind in causal and kind not in masked


def has_sinks(model: torch.nn.Module) -> bool:
    """Tells whether the model has learned attention sinks, so that rows may sum to less than 1."""
    return any(_is_sink(".".join(name.split(".")[-2:])) for name, _ in model.named_parameters())


@functools.lru_cache(1 << 12)
def _is_sink(name: str) -> bool:
    return _SINK.search(name) is not None


def layer_of(name: str) -> str | None:
    """The path of the layer that an attention module belongs to, or None if it stands in no list of layers."""
    match = INDEXED.match(name)
    return None if match is None else f"{match[1]}{match[2]}"


def encoder_names(model: torch.nn.Module) -> set[str]:
    """Qualified names of all modules of an encoder-decoder's encoder."""
    get_encoder = getattr(model, "get_encoder", None)
    encoder = get_encoder() if get_encoder is not None else None
    if not isinstance(encoder, torch.nn.Module):
        return set()
    inside = {id(module) for module in encoder.modules()}
    return {name for name, module in model.named_modules() if id(module) in inside}


def _is_cross(model: torch.nn.Module, report: Report, n: int, m: int) -> bool:
    shape = report.kept.shape[-2:]
    if n != m and shape in ((m, n), (m, m)):
        return bool(shape == (m, n))
    if CROSS.search(report.name) or CROSS.search(type(model.get_submodule(report.name)).__name__):
        return True
    return m > 1 and not report.shape and n == m and not _causal(report.kept)


def _causal(matrix: Matrix) -> bool:
    return not np.any(matrix[..., 0, 1:]) and not np.triu(matrix, k=1).any()


def _cropped(
    model: torch.nn.Module,
    report: Report,
    shape: tuple[int | None, int | None],
    keep: tuple[Sequence[int] | None, Sequence[int] | None],
) -> Report:
    matrix = report.kept
    if report.shape:
        raise CaptureError(
            f"{type(model).__name__}: the attention of {report.name} has shape {list(report.shape)}, expected "
            "[1, heads, queries, keys]: attention in windows or blocks is not a stack over one sequence."
        )
    if matrix.shape[-2:] != shape:
        raise CaptureError(_misshapen(model, report, shape))
    queries, keys = keep
    if queries is not None:
        matrix = matrix[..., list(queries), :]
    if keys is not None:
        matrix = matrix[..., list(keys)]
    if not np.isfinite(matrix).all():
        raise CaptureError(
            f"{type(model).__name__}: the attention of {report.name} holds NaN or infinite values, "
            "expected weights from 0 to 1; check the model's weights, or load it in float32."
        )
    return replace(report, kept=np.ascontiguousarray(matrix))


def _misshapen(model: torch.nn.Module, report: Report, shape: tuple[int | None, int | None]) -> str:
    """Why weights of another shape than the stack's are none of its layers."""
    queries, keys = report.kept.shape[-2:]
    who = f"{type(model).__name__}: {report.name} ({type(model.get_submodule(report.name)).__name__})"
    if queries == keys:
        why = (
            f"a sequence of {queries}, beside one of {shape[1]}: it is pooled, resampled, or a second stream"
        )
    elif keys == shape[0] or queries == shape[0]:
        more = (
            "pooled, or fewer than all"
            if keys < queries
            else "more than there are positions: memory, or pooling"
        )
        why = f"{keys} keys from {queries} queries: {more if queries == shape[0] else 'queries are pooled'}"
    else:
        why = f"{keys} keys from {queries} queries, where the sequence has {shape[1]}"
    return (
        f"{who} attends to {why}; expected weights [{shape[0]}, {shape[1]}] in every layer, as a stack over one "
        "sequence has. A part of the model that is such a stack can be captured by itself."
    )


def _repeated(model: torch.nn.Module, kind: str, reports: Sequence[Report], known: set[int]) -> str:
    """Why layers that report more often than the configuration says are no chain."""
    cls = type(model).__name__
    counts = Counter(report.name for report in reports)
    name, times = counts.most_common(1)[0]
    together = all(report.name == reports[index - index % times].name for index, report in enumerate(reports))
    if together and len(set(counts.values())) == 1:
        return (
            f"{cls}: {name} ({type(model.get_submodule(name)).__name__}) computes {times} attentions over the same "
            "positions, which it subtracts or feeds into streams of their own; expected one per layer. Which share of "
            "each goes on cannot be told from their weights."
        )
    return (
        f"{cls}: found {len(reports)} {kind} layers, expected {' or '.join(map(str, sorted(known)))} as its "
        f"configuration says ({name} attended {times} times): layers run in loops, or several streams, are no "
        "chain."
    )


def _complete(
    model: torch.nn.Module, kind: str, reports: Sequence[Report], allow_partial: bool
) -> tuple[tuple[Matrix, ...], Calls, tuple[str, ...]]:
    """Checks that every layer of the lists that hold these modules reported exactly once.

    A layer that holds a numbered list of attentions (LongCat) counts as one for each. Layers that share one
    module (ALBERT) report as often as the configuration says. Layers without attention are refused, or become
    identity.
    """
    cls = type(model).__name__
    calls = Counter(report.name for report in reports)
    if calls.most_common(1)[0][1] > 1:
        known = _configured_layers(model, kind)
        if known and len(reports) not in known:
            raise CaptureError(_repeated(model, kind, reports, known))
        return tuple(report.kept for report in reports), tuple(report.number for report in reports), ()
    places: dict[str, dict[int, list[Report]]] = {}
    for report in reports:
        match = INDEXED.match(report.name)
        folder, index = (match[1], int(match[2])) if match else (report.name + "#", 0)
        before = places.setdefault(folder, {}).setdefault(index, [])
        if before and not all(_NUMBERED.search(each.name) for each in (*before, report)):
            raise CaptureError(
                f"{cls}: layer {folder}{index} reported {kind} twice ({before[0].name} and {report.name}), expected "
                "one attention per layer, or a list of them one after the other."
            )
        before.append(report)
    layers: list[Matrix] = []
    numbers: list[int | None] = []
    missing: list[str] = []
    for folder, by_index in places.items():
        size = 1 if folder.endswith("#") else len(list(model.get_submodule(folder.rstrip(".")).children()))
        for index in range(size):
            for report in by_index.get(index, ()):
                layers.append(report.kept)
                numbers.append(report.number)
            if index not in by_index:
                missing.append(f"{folder}{index} ({type(model.get_submodule(f'{folder}{index}')).__name__})")
                blank = np.eye(*reports[0].kept.shape[-2:], dtype=reports[0].kept.dtype)
                layers.append(np.zeros_like(reports[0].kept) + blank)
                numbers.append(None)
    if missing and not allow_partial:
        raise CaptureError(
            f"{cls} has layers without {kind}: {_shown(missing)}; expected attention in every layer. "
            "allow_partial=True treats them as identity and marks the result."
        )
    return tuple(layers), tuple(numbers), tuple(missing)


def recurrent_beside(model: torch.nn.Module, reports: Sequence[Report]) -> tuple[str, ...]:
    """Modules in layers with attention that are recurrences over positions: state spaces, linear attention."""
    found: dict[str, str] = {}
    for report in reports:
        layer = layer_of(report.name)
        if layer is None:
            continue
        for name, module in model.get_submodule(layer).named_modules(prefix=layer):
            named = f"{name.rsplit('.', 1)[-1]} {type(module).__name__}"
            within = any(name.startswith(f"{outer}.") for outer in found)
            if name != layer and not within and _is_recurrent(named):
                found[name] = type(module).__name__
    return tuple(f"{name} ({kind})" for name, kind in found.items())


@functools.lru_cache(1 << 12)
def _is_recurrent(named: str) -> bool:
    return RECURRENT.search(named) is not None


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _configured_layers(model: torch.nn.Module, kind: str) -> set[int]:
    config: Any = getattr(model, "config", None)
    inner = [config, getattr(config, "encoder" if kind.startswith("encoder") else "decoder", None)]
    names = ["num_hidden_layers"]
    names += ["encoder_layers"] if kind.startswith("encoder") else ["decoder_layers", "num_decoder_layers"]
    found = {getattr(part, name, None) for part in inner for name in names}
    return {count for count in found if isinstance(count, int)}
