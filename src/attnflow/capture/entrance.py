"""Where gradients begin: at what the first layer of each stack reads."""

from __future__ import annotations

from typing import Any

import torch

from attnflow.errors import CaptureError


def entered(
    inputs: dict[str, torch.Tensor], stack: str, module: torch.nn.Module, args: Any, kwargs: Any
) -> None:
    """A hook before the first layer of a stack: what it reads carries gradients from here on.

    Args:
        inputs: what the first layers read, by stack; filled.
        stack: which stack it is.
        module: the layer.
        args: what it is called with.
        kwargs: and by name.

    Raises:
        CaptureError: it reads no hidden states.
    """
    if stack in inputs:  # layers that share one module: the first call counts
        return
    candidates = [kwargs.get("hidden_states"), *args, *kwargs.values()]
    found = next((x for x in candidates if torch.is_tensor(x) and x.ndim == 3), None)
    if found is None or 1 not in found.shape[:2] or not found.is_floating_point():
        raise CaptureError(
            f"{type(module).__name__} is the first layer, but takes no hidden states [1, positions, width]; "
            "gradients need them. Use attention capacities."
        )
    torch.set_grad_enabled(True)  # until the end of the caller's no_grad block
    if not found.requires_grad:
        found.requires_grad_(True)
    inputs[stack] = found
