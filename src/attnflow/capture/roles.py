"""From the attentions of a pass of any PyTorch model to the layers of its stacks.

What is known decides, in this order: what was registered for the class; whether queries and keys were one sequence;
shapes; the name of the module. Self-attention beside a cross-attention is the decoder's, any other the encoder's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.capture.custom import STACKS, CustomModel
from attnflow.capture.interface import Report
from attnflow.capture.layers import Calls, Stacks, layer_of
from attnflow.errors import CaptureError

Matrix = NDArray[np.floating[Any]]

_CROSS = re.compile(r"cross|encoder_?att|enc_?dec|src_?att|context|memory|multihead_attn", re.IGNORECASE)
_INDEXED = re.compile(r"^((?:.*?\.)?)(\d+)(?:\.|$)")

#: What stands as the encoder of a decoder whose memory was handed in; exact, as nothing happens between.
GIVEN_MEMORY = "the memory (handed in, not encoded)"


@dataclass(frozen=True)
class Seen:
    """One attention of a pass.

    Attributes:
        report: what was kept of it.
        crossing: True if queries and keys are different sequences, None if unknown.
        read: `[keys]`, whether any query of any head reads that key.
    """

    report: Report
    crossing: bool | None
    read: NDArray[np.bool_]


@dataclass(frozen=True)
class Roles:
    """The stacks of a pass, padding cropped.

    Attributes:
        stacks: as `attnflow.capture.layers` makes them.
        keep: positions of the encoder's (or only) and the decoder's sequence that some query reads, None for all.
        first: the layer that each stack begins with, by "encoder" and "decoder", or None in its place.
    """

    stacks: Stacks
    keep: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    first: dict[str, str | None]

    @property
    def crops(self) -> dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]]:
        """Per stack, which queries and keys are kept, None for all."""
        encoder, decoder = self.keep
        return {"encoder": (encoder, encoder), "decoder": (decoder, decoder), "cross": (decoder, encoder)}

    @property
    def blind(self) -> bool:
        """Whether some position reads nothing, as masks may have it."""
        layers = (*self.stacks.encoder, *self.stacks.decoder, *self.stacks.cross)
        return any(bool((layer.sum(-1) == 0).any()) for layer in layers)


def assign(model: torch.nn.Module, custom: CustomModel, seen: Sequence[Seen], allow_partial: bool) -> Roles:
    """Arranges the attentions of one pass.

    Args:
        model: the model that ran.
        custom: what is registered for it.
        seen: in the order of computation.
        allow_partial: whether layers without attention may stand as identity.

    Raises:
        CaptureError: attentions that make up no encoder, decoder or encoder-decoder.
    """
    cls = type(model).__name__
    roles = [_role(cls, custom, item) for item in seen]
    crosses = [item for item, role in zip(seen, roles) if role == "cross"]
    if not crosses:
        return _single(model, seen, roles, allow_partial)
    beside = {_layer(item) for item in crosses}
    own = [
        item
        for item, role in zip(seen, roles)
        if role == "decoder" or (role == "self" and _layer(item) in beside)
    ]
    encoder = [item for item, role in zip(seen, roles) if role != "cross" and item not in own]
    if len(own) != len(crosses) or [_layer(item) for item in own] != [_layer(item) for item in crosses]:
        raise CaptureError(
            f"{cls}: found {len(crosses)} cross-attentions ({crosses[0].report.name} ...) and {len(own)} "
            f"self-attentions beside them; expected one of each per decoder layer. If names mislead here, say what "
            "each module is with register_model(stack=...)."
        )
    late = next((c for s, c in zip(own, crosses) if s.report.number > c.report.number), None)
    if late is not None:
        raise CaptureError(
            f"{cls}: {late.report.name} attends to the encoder before its layer attends to itself; the flow network of "
            "a decoder has them the other way round."
        )
    m, n = crosses[0].report.kept.shape[-2:]
    shapes = {"encoder": (encoder, (n, n)), "decoder": (own, (m, m)), "cross": (crosses, (m, n))}
    for name, (items, shape) in shapes.items():
        _check_shapes(cls, name, items, shape)
    keeps = (_keep([*encoder, *crosses], n), _keep(own, m))
    sides = Roles(Stacks(), keeps, {}).crops
    layers: dict[str, tuple[Matrix, ...]] = {}
    calls: dict[str, Calls] = {}
    partial: tuple[str, ...] = ()
    for name, (items, _) in shapes.items():
        missing = _missing(model, items) if name != "cross" else []
        if missing:
            _refuse_missing(cls, missing)  # of an encoder-decoder, which layer they belong to is not known
        layers[name] = tuple(_cropped(item.report.kept, *sides[name]) for item in items)
        calls[name] = tuple(item.report.number for item in items)
    if not encoder:
        size = n if keeps[0] is None else len(keeps[0])
        heads = layers["cross"][0].shape[:-2]
        unit = np.broadcast_to(np.eye(size, dtype=layers["cross"][0].dtype), (*heads, size, size))
        layers["encoder"], calls["encoder"], partial = (np.ascontiguousarray(unit),), (None,), (GIVEN_MEMORY,)
    first = {
        "encoder": _layer(encoder[0]) if encoder else None,
        "decoder": _layer(own[0]),
    }
    stacks = Stacks(
        layers["encoder"],
        layers["decoder"],
        layers["cross"],
        partial=partial,
        dtype=seen[0].report.dtype,
        causal=all(_causal(matrix) for matrix in layers["decoder"]),
        padded=(n, m),
        calls=calls,
    )
    return Roles(stacks, keeps, first)


def _single(model: torch.nn.Module, seen: Sequence[Seen], roles: Sequence[str], allow_partial: bool) -> Roles:
    cls = type(model).__name__
    n = seen[0].report.kept.shape[-1]
    _check_shapes(cls, "self-attention", seen, (n, n))
    keep = _keep(seen, n)
    missing = _missing(model, seen)
    if missing and not allow_partial:
        _refuse_missing(cls, missing)
    by_layer = {_layer(item): item for item in seen}
    if len(by_layer) != len(seen) and missing:
        _refuse_missing(cls, missing)  # layers that share modules: where the missing ones stand is not known
    items: list[Seen | None] = list(seen)
    if missing:
        order = _siblings(model, seen)
        items = [by_layer.get(name) for name in order]
    shape = seen[0].report.kept.shape
    size = n if keep is None else len(keep)
    unit = np.ascontiguousarray(
        np.broadcast_to(np.eye(size, dtype=seen[0].report.kept.dtype), (*shape[:-2], size, size))
    )
    layers = tuple(unit if item is None else _cropped(item.report.kept, keep, keep) for item in items)
    calls = tuple(None if item is None else item.report.number for item in items)
    causal = all(_causal(item.report.kept) for item in seen) and n > 1
    stack = "decoder" if (causal and set(roles) != {"encoder"}) or set(roles) == {"decoder"} else "encoder"
    stacks = Stacks(
        encoder=layers if stack == "encoder" else (),
        decoder=layers if stack == "decoder" else (),
        partial=tuple(missing),
        dtype=seen[0].report.dtype,
        padded=(n, None) if stack == "encoder" else (None, n),
        calls={stack: calls},
    )
    keeps = (keep, None) if stack == "encoder" else (None, keep)
    return Roles(stacks, keeps, {stack: _layer(seen[0])})


def _role(cls: str, custom: CustomModel, item: Seen) -> str:
    """The stack it belongs to, or "self" where that is not known."""
    name = item.report.name
    told = None if custom.stack is None else custom.stack(name)
    if told is not None:
        if told not in STACKS:
            raise CaptureError(
                f"{cls}: register_model(stack=...) calls {name} {told!r}, expected one of {', '.join(STACKS)} or None."
            )
        return told
    if item.crossing is not None:
        return "cross" if item.crossing else "self"
    queries, keys = item.report.kept.shape[-2:]
    if queries != keys or _CROSS.search(name.rsplit(".", 1)[-1]):
        return "cross"
    return "self"


def _layer(item: Seen) -> str | None:
    """The layer that an attention belongs to: its place in a list of layers, else the module around it."""
    name = item.report.name
    found = layer_of(name)
    if found is not None:
        return found
    return name.rpartition(".")[0] or None


def _keep(items: Sequence[Seen], size: int) -> tuple[int, ...] | None:
    """Positions that are read at all; what no query reads in any head of any layer is padding."""
    read = np.logical_or.reduce([item.read for item in items])
    return None if read.all() else tuple(int(index) for index in np.flatnonzero(read))


def _cropped(matrix: Matrix, queries: Sequence[int] | None, keys: Sequence[int] | None) -> Matrix:
    if queries is not None:
        matrix = matrix[..., list(queries), :]
    if keys is not None:
        matrix = matrix[..., list(keys)]
    return np.ascontiguousarray(matrix)


def _check_shapes(cls: str, name: str, items: Sequence[Seen], shape: tuple[int, int]) -> None:
    for item in items:
        found = item.report.kept.shape[-2:]
        if found != shape:
            raise CaptureError(
                f"{cls}: the attention of {item.report.name} has shape {list(found)}, expected {list(shape)} as the "
                f"others of this stack ({name}); pooled, windowed or memory-extended attention is not a stack over one "
                "sequence."
            )
        if not np.isfinite(item.report.kept).all():
            raise CaptureError(
                f"{cls}: the attention of {item.report.name} holds NaN or infinite values, expected weights from 0 to "
                "1; check the model's weights, or load it in float32."
            )


def _causal(matrix: Matrix) -> bool:
    above = np.triu_indices(matrix.shape[-1], k=1)
    return not np.any(matrix[..., above[0], above[1]])


def _folders(items: Sequence[Seen]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for item in items:
        match = _INDEXED.match(item.report.name)
        if match is not None:
            found.setdefault(match[1], set()).add(int(match[2]))
    return found


def _missing(model: torch.nn.Module, items: Sequence[Seen]) -> list[str]:
    """Layers that stand in one list with layers that attend, but do not attend themselves.

    In a Sequential, which may hold embeddings and heads too, only modules of a class that attends elsewhere count.
    """
    missing = []
    for folder, indices in _folders(items).items():
        parent = model.get_submodule(folder.rstrip("."))
        children = dict(parent.named_children())
        classes = {type(children[str(index)]) for index in indices if str(index) in children}
        for name, child in children.items():
            counts = isinstance(parent, torch.nn.ModuleList) or type(child) in classes
            if name.isdigit() and int(name) not in indices and counts:
                missing.append(f"{folder}{name}")
    return missing


def _siblings(model: torch.nn.Module, items: Sequence[Seen]) -> list[str]:
    """All layers in order, those that do not attend among them."""
    order: list[str] = []
    missing = set(_missing(model, items))
    attending = {_layer(item) for item in items}
    for folder in _folders(items):
        children = dict(model.get_submodule(folder.rstrip(".")).named_children())
        order += [f"{folder}{name}" for name in children if f"{folder}{name}" in missing | attending]
    return order


def _refuse_missing(cls: str, missing: Sequence[str]) -> None:
    shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
    raise CaptureError(
        f"{cls}: {shown} computed no attention that was seen, beside layers that did; expected some in every layer. "
        "If they write it out by hand, name their attention's class with register_model(attention=...); if they have "
        "none, allow_partial=True treats them as identity and marks the result."
    )
