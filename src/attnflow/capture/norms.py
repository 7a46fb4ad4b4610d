"""How long the vector is that each key position sends each query position (Kobayashi et al. 2020).

The vector is `sum_h A_h[q, k] value_h[k] W_O,h`: the values as the layer mixes them, through its output
projection, without that projection's bias. The projection is not looked up by family: it is whatever linear
map reads the mixed values, unchanged, next. A layer whose values go elsewhere first (a gate, a norm) has none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.pytorch_utils import Conv1D

from attnflow.capture.records import Heads, Sight
from attnflow.errors import CaptureError

Matrix = NDArray[np.floating[Any]]

_ENTRIES = 1 << 24  # of the largest array held at a time


@dataclass(frozen=True)
class _Pending:
    """A layer whose output projection has not run yet."""

    number: int
    name: str
    weights: torch.Tensor
    value: torch.Tensor
    output: torch.Tensor


class Norms:
    """Observes a pass and keeps one matrix of norms for every call.

    Args:
        heads: which heads count.
    """

    def __init__(self, heads: Heads) -> None:
        self.heads = heads
        self.layers: dict[int, Matrix] = {}
        self._pending: _Pending | None = None

    @contextlib.contextmanager
    def within(self, model: torch.nn.Module, tensors: dict[str, Any]) -> Iterator[None]:
        """Hooks every linear map."""
        self.layers.clear()
        with contextlib.ExitStack() as stack:
            for name, module in model.named_modules():
                if isinstance(module, (torch.nn.Linear, Conv1D)):
                    stack.callback(module.register_forward_pre_hook(partial(self._read, name)).remove)
            yield
        self._resolved()

    def see(self, number: int, sight: Sight) -> None:
        """Holds one layer until its projection runs."""
        self._resolved()
        if sight.projection is not None:
            self.layers[number] = norms(sight.weights, sight.value[0], sight.projection, self.heads)
            return
        self._pending = _Pending(number, sight.name, sight.weights, sight.value, sight.output)

    def _resolved(self) -> None:
        if self._pending is not None:
            raise CaptureError(
                f"norm: no linear map reads the values that {self._pending.name} mixes, as an output projection "
                "would: something stands between them. Use attention capacities."
            )

    def _read(self, name: str, module: torch.nn.Module, args: Any) -> None:
        pending = self._pending
        if pending is None or not args or not torch.is_tensor(args[0]):
            return
        seen, mixed = args[0], pending.output
        if seen.numel() != mixed.numel() or not torch.equal(seen.reshape(-1), mixed.reshape(-1)):
            return
        weight = module.weight
        if (
            not torch.is_tensor(weight)
            or weight.ndim != 2
            or not weight.is_floating_point()
            or name.endswith(".base_layer")
        ):
            raise CaptureError(
                f"norm: the output projection {name} is quantised or adapted, so its matrix is not at hand: merge the "
                "adapter, or load the model unquantised."
            )
        matrix = weight.detach() if isinstance(module, Conv1D) else weight.detach().T
        self._pending = None
        self.layers[pending.number] = norms(pending.weights, pending.value[0], matrix, self.heads)


def norms(weights: torch.Tensor, value: torch.Tensor, projection: torch.Tensor, heads: Heads) -> Matrix:
    """Computes `|| sum_h weights[h, q, k] value[h, k] projection_h ||` for all q, k.

    Args:
        weights: `[heads, queries, keys]`.
        value: `[value heads, keys, width]`; each serves as many heads in turn as there are groups.
        projection: `[heads * width, model width]`.
        heads: which heads count.

    Returns:
        `[queries, keys]`, float32, or float64 if the weights were. Computed in float64 from the inner products
        of the heads' vectors, so that no vector per pair of positions is ever held.
    """
    count, _, keys = weights.shape
    value = value.detach().double().repeat_interleave(count // value.shape[0], dim=0)
    W = projection.double().reshape(count, value.shape[-1], -1)
    A, value, W = heads.chosen(weights).double(), heads.chosen(value), heads.chosen(W)
    A = A.permute(2, 1, 0).contiguous()  # [keys, queries, heads]
    squares = torch.empty(A.shape[:2], dtype=torch.float64, device=A.device)
    chunk = max(1, _ENTRIES // (A.shape[2] * max(W.shape[-1], A.shape[1])))
    for start in range(0, keys, chunk):
        part = slice(start, start + chunk)
        sent = (value[:, part] @ W).transpose(0, 1)  # [keys, heads, model width]
        squares[part] = (A[part] @ (sent @ sent.transpose(1, 2)) * A[part]).sum(-1)
    squares = squares.T
    found = squares.clamp(min=0).sqrt()
    kept: Matrix = found.to(torch.float64 if weights.dtype == torch.float64 else torch.float32).cpu().numpy()
    return kept
