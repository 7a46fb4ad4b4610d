"""Which of the attention that ran belongs to the stack that the prediction goes through.

A model of several senses holds several stacks: a tower for pictures, then a language model that reads what the tower
made. The prediction comes out of the last one; what came before it has become its input. Stacks are told apart by the
list of layers that they stand in and by the configuration of the part of the model that they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from attnflow.capture.interface import Report
from attnflow.errors import CaptureError


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
        config = getattr(module, "config", None)
        if hasattr(config, "_attn_implementation_internal") and isinstance(module, torch.nn.Module):
            found = type(config)
    return found
