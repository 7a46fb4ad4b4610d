"""ALTI rollout (Ferrando, Gállego & Costa-jussà 2022): how near each token's part comes to a layer's output.

A layer's output at i is the sum of vectors T_i(x_j), one from each token j (what j sends through values and output
projection; for j = i also the residual), each through the linear part of the layer norm behind it, and of biases. The
contribution of j is max(0, |y_i| - |y_i - T_i(x_j)|) in norm 1, rows divided by their sums; layers are multiplied.

Defined in the paper for encoders with the layer norm behind the residual (BERT). For a norm in front of the attention
y_i is the residual stream itself and T_i no norm, as Ferrando et al. 2022 ("Towards Opening the Black Box of Neural
Machine Translation") take it. Which of the two a layer is, is seen as it runs: whether the residual is what the
attention read. Encoder-decoders, and layers that are neither, are refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import CaptureError
from attnflow.evaluate.prediction import Prediction, evaluating

if TYPE_CHECKING:
    import torch

    from attnflow.capture.records import Sight

Matrix = NDArray[np.float64]


def scores(prediction: Prediction) -> NDArray[np.float64]:
    """What the target's positions owe to each player, rows of several positions averaged.

    One forward pass.
    """
    from attnflow.capture.interface import Recorder, run_listening
    from attnflow.capture.records import Heads, keep_attention

    if prediction.decoder:
        raise CaptureError(
            f"{type(prediction.model).__name__}: ALTI rollout is implemented for models of one stack; expected an "
            "encoder or a decoder-only model."
        )
    seen = _Layers(type(prediction.model).__name__)
    with evaluating(prediction.model):
        recorder = Recorder(prediction.model, keep_attention, Heads("mean"), observers=(seen,))
        run_listening(prediction.model, prediction.tensors(), recorder)
    prediction.cost.forward += 1
    return rolled(seen.contributions, prediction.target)


def rolled(contributions: list[Matrix], target: tuple[int, ...]) -> NDArray[np.float64]:
    """The mean of the target's rows of the product of all layers.

    Args:
        contributions: per layer `[queries, keys]`, rows that sum to 1.
        target: positions of the last layer.
    """
    R: Matrix = np.eye(len(contributions[0]))
    for layer in contributions:
        R = layer @ R
    found: NDArray[np.float64] = R[list(target)].mean(0)
    return found


def contributions(parts: torch.Tensor, y: torch.Tensor) -> Matrix:
    """Equation 11 of the paper.

    Args:
        parts: T_i(x_j), `[queries, keys, width]`.
        y: the layer's output, `[queries, width]`.

    Returns:
        float64 `[queries, keys]`, rows that sum to 1; a row of nothing near stays zero.
    """
    near = (y.norm(p=1, dim=-1, keepdim=True) - (y[:, None] - parts).norm(p=1, dim=-1)).clamp(min=0)
    sums = near.sum(-1, keepdim=True)
    found: Matrix = (near / sums.where(sums > 0, sums.new_ones(()))).cpu().numpy()
    return found


class _Layers:
    """Observes a pass and takes every layer's attention apart."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.contributions: list[Matrix] = []
        self._sight: Sight | None = None
        self._projected: tuple[torch.Tensor, torch.Tensor] | None = None
        self._read: dict[str, torch.Tensor] = {}

    @contextlib.contextmanager
    def within(self, model: torch.nn.Module, tensors: dict[str, Any]) -> Iterator[None]:
        """Hooks linear maps, norms and whatever computes attention."""
        import torch
        from transformers.pytorch_utils import Conv1D

        with contextlib.ExitStack() as stack:
            for name, module in model.named_modules():
                if isinstance(module, (torch.nn.Linear, Conv1D)):
                    stack.callback(module.register_forward_hook(self._project).remove)
                elif "norm" in type(module).__name__.lower():
                    stack.callback(module.register_forward_hook(self._norm).remove)
                if "att" in type(module).__name__.lower():
                    hook = self._reader(name)
                    stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
            yield
        if self._sight is not None:
            raise CaptureError(f"{self.model}: no layer norm reads the residual behind the last attention.")

    def see(self, number: int, sight: Sight) -> None:
        """Holds one layer until the norm behind it runs."""
        if self._sight is not None:
            raise CaptureError(
                f"{self.model}: no layer norm reads the residual behind the attention of {self._sight.name}: ALTI is "
                "not defined for this layer."
            )
        self._sight, self._projected = sight, None

    def _reader(self, name: str) -> Any:
        import torch

        def read(module: Any, args: Any, kwargs: Any) -> None:
            for value in (*args, *kwargs.values()):
                if torch.is_tensor(value) and value.ndim == 3 and value.is_floating_point():
                    self._read[name] = value
                    return

        return read

    def _project(self, module: Any, args: Any, output: torch.Tensor) -> None:
        """Keeps what the output projection makes of the mixed values."""
        import torch
        from transformers.pytorch_utils import Conv1D

        sight = self._sight
        if sight is None or self._projected is not None or not args or not torch.is_tensor(args[0]):
            return
        if args[0].numel() != sight.output.numel():
            return
        if torch.equal(args[0].reshape(-1), sight.output.reshape(-1)):
            weight = module.weight.detach() if isinstance(module, Conv1D) else module.weight.detach().T
            self._projected = (output.detach()[0].double(), weight.double())

    def _norm(self, module: Any, args: Any, output: torch.Tensor) -> None:
        """The norm behind the residual: takes the layer apart."""
        import torch

        sight, projected = self._sight, self._projected
        if sight is None or projected is None:
            return
        z = args[0].detach()[0].double()
        mixed, W = projected
        residual = z - mixed
        heads = sight.weights.shape[0]
        value = sight.value.detach()[0].double().repeat_interleave(heads // sight.value.shape[1], dim=0)
        sent = value @ W.reshape(heads, value.shape[-1], -1)  # [heads, keys, width]
        parts = torch.einsum("hqk,hkd->qkd", sight.weights.detach().double(), sent)
        places = torch.arange(len(z))
        parts[places, places] += residual
        if any(self._is_read(residual, name) for name in self._readers(sight.name)):
            centred = parts - parts.mean(-1, keepdim=True)
            spread = (z.var(-1, unbiased=False) + module.eps).sqrt()
            parts, y = (
                centred * module.weight.detach().double() / spread[:, None, None],
                output.detach()[0].double(),
            )
            if not isinstance(module, torch.nn.LayerNorm):
                raise CaptureError(
                    f"{self.model}: {type(module).__name__} behind the residual, expected LayerNorm."
                )
        else:
            y = z
        self.contributions.append(contributions(parts, y))
        self._sight = None

    def _readers(self, name: str) -> list[str]:
        """Modules that hold, or are, the one that computes this attention."""
        return [
            read
            for read in self._read
            if name == read or name.startswith(f"{read}.") or read.startswith(name)
        ]

    def _is_read(self, residual: torch.Tensor, name: str) -> bool:
        read = self._read[name].detach()[0].double()
        return read.shape == residual.shape and bool(
            (read - residual).abs().max() <= 1e-4 * residual.abs().max()
        )
