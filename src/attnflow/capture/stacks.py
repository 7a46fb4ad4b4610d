"""Which of the attention that ran belongs to the stack that the prediction goes through.

A model of several senses holds several stacks: a tower for pictures, then a language model that reads what the tower
made. The prediction comes out of the last one; what came before it has become its input. Where the layers of the last
one also attend to another stack, the two are an encoder and its decoder, whatever the model calls itself. Stacks are
told apart by the list of layers that they stand in and by the configuration of the part that they belong to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from attnflow.capture.interface import Report
from attnflow.capture.state import attribute
from attnflow.errors import CaptureError

#: Names of modules that attend to another sequence.
CROSS = re.compile(r"cross|encoder_attn|enc_?dec|encoder_decoder|src_attn|context_attn", re.IGNORECASE)
#: Classes of modules that weigh what earlier layers made, each position by itself.
_RESIDUAL = re.compile(r"residual$", re.IGNORECASE)
#: A module in a list: the list, and its number there.
INDEXED = re.compile(r"^((?:.*?\.)?)(\d+)(?:\.|$)")


def of_prediction(model: torch.nn.Module, reports: Sequence[Report], size: int | None) -> list[Report]:
    """The reports of the stack that the prediction goes through.

    Args:
        model: the model that ran.
        reports: in the order of computation.
        size: number of positions of the input ids, or None if the input is no ids.

    Raises:
        CaptureError: nothing mixed values by softmax rows.
    """
    check_any(model, reports)
    reports = attending(model, reports)
    parts: dict[type, list[Report]] = {}
    for report in reports:
        parts.setdefault(_config_of(model, report.name), []).append(report)
    if len(parts) == 1:
        return list(reports)
    candidates = list(parts.values())
    if size is not None:
        fitting = [
            part for part in candidates if any(report.kept.shape[-2:] == (size, size) for report in part)
        ]
        candidates = fitting or candidates
    return max(candidates, key=lambda part: part[-1].number)


@dataclass(frozen=True)
class Crossed:
    """A decoder, and the encoder that it attends to.

    Attributes:
        encoder: self-attention of the encoder.
        decoder: self-attention of the decoder, one for every layer.
        cross: its attention to the encoder.
    """

    encoder: tuple[Report, ...]
    decoder: tuple[Report, ...]
    cross: tuple[Report, ...]


def crossed(model: torch.nn.Module, reports: Sequence[Report]) -> Crossed | None:
    """Tells an encoder and its decoder by what the last layers attend to; None if they attend to themselves alone.

    Args:
        model: the model that ran, told nothing about which of its parts decodes.
        reports: in the order of computation.

    Raises:
        CaptureError: the last layers attend to something that is no stack of self-attention.
    """
    reports = attending(model, reports)
    if not reports or any(report.shape for report in reports):
        return None
    folder = folder_of(reports[-1].name)
    last = [report for report in reports if folder_of(report.name) == folder]
    size = max(report.kept.shape[-2] for report in last)
    crosses = [report for report in last if looks_across(model, report, size)]
    own = [report for report in last if report not in crosses]
    if not crosses or len(crosses) == len(last) or any(r.kept.shape[-2] != size for r in last):
        return None
    width = crosses[0].kept.shape[-1]
    before = [report for report in reports if report.number < last[0].number]
    square = [report for report in before if report.kept.shape[-2:] == (width, width)]
    if not square:
        raise CaptureError(
            f"{type(model).__name__}: {crosses[0].name} attends to {width} keys from {size} positions, and no layer of "
            f"self-attention over {width} made them: a memory, compressed keys, or features; expected its own "
            "positions, or an encoder that is a stack over one sequence."
        )
    kind = folder_of(square[-1].name)
    encoder = [report for report in before if folder_of(report.name) == kind]
    if len(own) != len(crosses):
        raise CaptureError(
            f"{type(model).__name__}: found {len(own)} layers of self-attention and {len(crosses)} of attention to "
            f"{kind or square[-1].name}; expected one of each per layer."
        )
    return Crossed(tuple(encoder), tuple(own), tuple(crosses))


def attending(model: torch.nn.Module, reports: Sequence[Report]) -> list[Report]:
    """Leaves out what mixes by softmax rows but is no attention, if anything here calls itself that.

    Some families also mix the parallel streams of their residual connection, what earlier layers made at the same
    position, or experts, by the rows of a softmax; some pool by attention behind the last layer.
    """
    named = [
        report
        for report in reports
        if re.search("att", report.name.rsplit(".", 1)[-1] + _class_of(model, report.name), re.IGNORECASE)
        and not _RESIDUAL.search(_class_of(model, report.name))
    ]
    return _without_head(named or list(reports))


def _without_head(reports: list[Report]) -> list[Report]:
    """The reports without a pooling head's: one query that reads every position, behind the last layer."""
    kept = list(reports)
    while len(kept) > 1 and not kept[-1].shape and not kept[-2].shape:
        (queries, keys), before = kept[-1].kept.shape[-2:], kept[-2].kept.shape[-2:]
        if queries > 1 or before != (keys, keys) or keys == 1 or INDEXED.match(kept[-1].name):
            break
        kept.pop()
    return kept


def _class_of(model: torch.nn.Module, name: str) -> str:
    return type(model.get_submodule(name)).__name__


def looks_across(model: torch.nn.Module, report: Report, size: int) -> bool:
    """Whether a layer attends to another sequence: by its shape, else by what it is called."""
    shape = report.kept.shape[-2:]
    if shape != (size, size):
        return bool(shape[0] == size)
    return any(CROSS.search(part) for part in (*report.name.split(".")[-2:], _class_of(model, report.name)))


def folder_of(name: str) -> str:
    """The list of layers that a module stands in; its own name if there is none."""
    match = INDEXED.match(name)
    return name if match is None else match[1]


def check_any(model: torch.nn.Module, reports: Sequence[Report]) -> None:
    """Checks that there was attention.

    Raises:
        CaptureError: there was none.
    """
    if reports:
        return
    named = sorted(
        {type(module).__name__ for module in model.modules() if "attention" in type(module).__name__.lower()}
    )
    but = f" (its {', '.join(named[:3])} compute no such rows)" if named else ""
    raise CaptureError(
        f"{type(model).__name__} has no attention that can be captured: nothing in it mixes values by the rows of a "
        f"softmax{but}."
    )


def _config_of(model: torch.nn.Module, name: str) -> type:
    """The class of configuration of the innermost part of the model that a module belongs to."""
    found = type(getattr(model, "config", None))
    module: Any = model
    for step in name.split("."):
        module = getattr(module, step, None)
        config = attribute(module, "config") if isinstance(module, torch.nn.Module) else None
        if hasattr(config, "_attn_implementation_internal"):
            found = type(config)
    return found
