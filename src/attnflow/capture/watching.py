"""Seeing attention in a model that nobody vouches for: only where its author says, and only what is repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from attnflow.capture.mixing import Found, Mixing, Mixture
from attnflow.errors import CaptureError


class Watch(Mixing):
    """Listens for attention.

    Args:
        model: the model that runs, in eval mode.
        attention: classes of modules whose softmax rows are attention; none for all.
        found: told every product of weights with values.
    """

    def __init__(self, model: torch.nn.Module, attention: Sequence[type], found: Found) -> None:
        super().__init__(model, self._within if attention else found)
        self._tell, self._classes = found, tuple(attention)

    def _within(self, name: str, mixture: Mixture) -> torch.Tensor | None:
        steps = name.split(".") if name else []
        around = [self.model.get_submodule(".".join(steps[:depth])) for depth in range(len(steps) + 1)]
        if not any(isinstance(module, self._classes) for module in around):
            return None
        return self._tell(name, mixture)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one function of torch, unless it is random."""
        name = getattr(func, "__name__", "")
        if name in ("dropout", "dropout_", "scaled_dot_product_attention"):
            self._check_repeatable(name, args, kwargs or {})
        return super().__torch_function__(func, types, args, kwargs)

    def _check_repeatable(self, name: str, args: Any, kwargs: Any) -> None:
        where = self._running[-1] if self._running else ""
        if name.startswith("dropout"):
            asked = {**dict(zip(("input", "p", "training"), args)), **kwargs}
            chance = asked.get("p", 0.5) if asked.get("training", asked.get("train", True)) else 0
        else:
            chance = {**dict(zip(("q", "k", "v", "mask", "dropout_p"), args)), **kwargs}.get("dropout_p", 0)
        if chance:
            raise CaptureError(
                f"{where or type(self.model).__name__} applies dropout (p={chance:g}) although the model is in eval "
                "mode, so that no two passes agree: let it do so only while self.training."
            )
