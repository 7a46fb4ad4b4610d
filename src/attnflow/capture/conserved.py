"""What each edge carries of one output, passed back as layer-wise relevance propagation does.

The output's logit is passed back through the model as a gradient that is altered on its way, so that input times
gradient is the same in sum before and behind every part, attention and biases aside:

- layer norms count as linear, their deviation a constant (Ali et al. 2022, arXiv 2202.07304);
- an activation is its own slope through the origin, `f(x) / x`; one that gates another signal is a constant, which
  leaves all to that signal (Arras et al. 2017, arXiv 1706.07206);
- a product of two signals gives half to each (Achtibat et al. 2024, arXiv 2402.05602): attention weights and the
  values they mix, and of what the weights get, queries and keys. A softmax is its own gradient, so that what would
  come wherever the model attended to, the part of a uniform attention, ends there.

The record `S[q, k]` of a layer is what k sends q through this layer's attention, heads summed: as a value `P / 2`,
with P = A dy/dA, and as a key `s dy/ds / 4` through the score s, which counts from its mean over the keys that q
reads, as the softmax does not know it from any other. On its diagonal stands also what q keeps: z . dy/dz less the
row's sum, z being the state behind the attention, residual included. So every row sums to z . dy/dz: attention and
residual share out what the position holds, in logits.

The forward pass is the model's own: only the way back is altered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.pytorch_utils import Conv1D

from attnflow.capture.entrance import entered
from attnflow.capture.interface import Recorder, first_line, run_listening
from attnflow.capture.line import Line
from attnflow.capture.mixing import Mixture
from attnflow.capture.outputs import Terms, logit
from attnflow.capture.records import CONSERVED, Heads, Sight
from attnflow.errors import AttnflowError, CaptureError

if TYPE_CHECKING:
    from attnflow.capture.gradients import Gathered

Matrix = NDArray[np.floating[Any]]

_ACTIVATIONS = ("transformers.activations", "torch.nn.modules.activation")
_NO_ACTIVATION = (torch.nn.MultiheadAttention, torch.nn.Softmax, torch.nn.LogSoftmax)


class Conserved:
    """Observes passes and shares outputs of them out.

    Args:
        heads: "mean"; all heads are summed.
    """

    def __init__(self, heads: Heads) -> None:
        self.heads = heads
        self._first: Mapping[str, str] = {}
        self._line: Line | None = None
        self._alpha = 1.0
        self._model = ""
        self._inputs: dict[str, torch.Tensor] = {}
        self._products: dict[int, torch.Tensor] = {}
        self._states: dict[int, torch.Tensor] = {}
        self._weights: dict[int, Sight] = {}
        self._pending: Sight | None = None
        self._projected: torch.Tensor | None = None
        self._mixed: torch.Tensor | None = None
        self._read: torch.Tensor | None = None

    def gather(
        self,
        model: torch.nn.Module,
        tensors: dict[str, Any],
        wanted: Mapping[Terms, Gathered],
        steps: int,
        line: Line | None,
        first: Mapping[str, str],
    ) -> None:
        """Runs one pass for every point of the line, and one backward pass for every output.

        Args:
            model: inside `as_found`.
            tensors: what it is called with.
            wanted: by output what was gathered of it; the record is added.
            steps: points on the line, the input included.
            line: to the input.
            first: the first layer of each stack.

        Raises:
            CaptureError: a layer whose state behind the attention no norm reads; a backward pass that fails.
        """
        self._first, self._line, self._model = first, line, type(model).__name__
        sums: dict[Terms, dict[int, torch.Tensor]] = {terms: {} for terms in wanted}
        for index in range(steps):
            self._alpha = (steps - index) / steps
            recorder = Recorder(
                model, lambda sight, heads: np.empty((0, 0)), self.heads, observers=(self,), mix=self._mix
            )
            outputs = run_listening(model, tensors, recorder)
            for number, terms in enumerate(wanted):
                with torch.enable_grad():
                    y = logit(outputs, terms)
                shared = self._shared(y, retain=number + 1 < len(wanted))
                for call, matrix in shared.items():
                    sums[terms][call] = sums[terms].get(call, 0.0) + matrix / steps
        self._release()
        for terms, found in wanted.items():
            kept: dict[int, Matrix] = {call: matrix.cpu().numpy() for call, matrix in sums[terms].items()}
            found.layers[CONSERVED] = kept

    # -- during the pass -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def within(self, model: torch.nn.Module, tensors: dict[str, Any]) -> Iterator[None]:
        """Gradients from the first layer's input on, altered by the rules."""
        self._release()
        with torch.no_grad(), contextlib.ExitStack() as stack:
            for name, layer in self._first.items():
                hook = partial(entered, self._inputs, name)
                handle = model.get_submodule(layer).register_forward_pre_hook(hook, with_kwargs=True)
                stack.callback(handle.remove)
            for module in model.modules():
                rule = self._rule(module, _parent_gates(model, module))
                if rule is not None:
                    stack.callback(module.register_forward_hook(rule).remove)
            if self._line is not None and self._alpha != 1:
                stack.enter_context(self._line.at(self._alpha))
            yield
        if self._pending is not None:
            raise self._unread(self._pending)

    def _mix(self, mixture: Mixture) -> torch.Tensor | None:
        """The product anew, which passes half on to its values, and a quarter each to queries and keys.

        The tensors themselves may be used elsewhere too, so it is not their gradients that are altered.
        """
        self._mixed = None
        if not mixture.weights.requires_grad:
            return None
        self._mixed = _part(mixture.weights, 0.25)
        return _valued(mixture.output, mixture.arrange(self._mixed) @ _part(mixture.value, 0.5))

    def see(self, number: int, sight: Sight) -> None:
        """Hooks one layer's weights, and waits for the norm that reads what comes of them."""
        if self._pending is not None:
            raise self._unread(self._pending)
        if self._mixed is None:
            return
        self._weights[number] = self._pending = sight
        self._projected = None
        self._mixed.register_hook(partial(self._arrive, number))

    def _rule(self, module: torch.nn.Module, gates: bool) -> Any:
        """The hook that alters the way back through a module; None if it is left as it is."""
        if "norm" in type(module).__name__.lower():
            return self._norm
        if isinstance(module, (torch.nn.Linear, Conv1D)):
            return self._project
        if type(module).__module__ in _ACTIVATIONS and not isinstance(module, _NO_ACTIVATION):
            return _constant if gates else _slope
        return None

    def _project(self, module: Any, args: Any, output: torch.Tensor) -> None:
        """Remembers what the output projection makes of the mixed values: a norm of it alone is no state."""
        if (
            self._pending is not None
            and self._projected is None
            and args
            and _same(args[0], self._pending.output)
        ):
            self._projected = output

    def _norm(self, module: Any, args: Any, output: Any) -> Any:
        """Finds the state behind the attention, and makes the norm linear."""
        x = _carrying(args, output)
        if x is None:
            return None
        sight = self._pending
        if sight is not None and x is not self._read and x.numel() // x.shape[-1] == sight.weights.shape[1]:
            alone = (sight.output, self._projected)
            if not any(part is not None and _same(x, part) for part in alone):
                self._states[max(self._weights)] = x
                self._pending = None
        self._read = x
        if not isinstance(module, torch.nn.LayerNorm):
            return _slope(module, args, output)
        axes = tuple(range(-len(module.normalized_shape), 0))
        centred = x - x.mean(axes, keepdim=True)
        spread = (centred.detach().pow(2).mean(axes, keepdim=True) + module.eps).sqrt()
        linear = centred / spread
        return _valued(output, linear if module.weight is None else linear * module.weight)

    def _arrive(self, number: int, gradient: torch.Tensor) -> None:
        """Keeps what a layer's edges carry."""
        sight = self._weights[number]
        A, G = self.heads.chosen(sight.weights), self.heads.chosen(sight.arrange(gradient))
        P = A * G
        by_score = P - A * P.sum(-1, keepdim=True)
        self._products[number] = (P / 2 + _scores(A) * by_score / 4).sum(0)

    # -- after it --------------------------------------------------------------------------------------

    def _shared(self, y: torch.Tensor, retain: bool) -> dict[int, torch.Tensor]:
        """The record of every call."""
        if not y.requires_grad:
            raise CaptureError(f"{self._model}: its output does not depend on the input of its first layer.")
        self._products.clear()
        states = list(self._states.items())
        try:
            gradients = torch.autograd.grad(
                y,
                [*(state for _, state in states), *self._inputs.values()],
                retain_graph=retain,
                allow_unused=True,
            )
        except (RuntimeError, NotImplementedError) as error:
            if isinstance(error, AttnflowError):
                raise
            raise CaptureError(f"{self._model} cannot be differentiated: {first_line(error)}.") from error
        found = {}
        for (number, state), gradient in zip(states, gradients):
            if number not in self._products:
                continue
            S = self._products[number]
            held = torch.zeros_like(S[:, 0])
            if gradient is not None:
                held = (state.detach() * gradient).sum(-1).reshape(-1).to(S.dtype)
            if S.shape[0] == S.shape[1] and not self._crosses(number):
                S = S + torch.diag(held - S.sum(1))
            found[number] = S
        return found

    def _crosses(self, number: int) -> bool:
        """Whether a call's queries and keys are two sequences, so that it has no diagonal."""
        name = self._weights[number].name.rsplit(".", 1)[-1].lower()
        return "cross" in name or "encoder_attn" in name or "encdec" in name

    def _release(self) -> None:
        for kept in (self._inputs, self._products, self._states, self._weights):
            kept.clear()
        self._pending = self._projected = self._read = self._mixed = None

    def _unread(self, sight: Sight) -> CaptureError:
        return CaptureError(
            f"{self._model}: no norm reads the state behind the attention of {sight.name}, so what the residual keeps "
            "is unknown. Use capacity 'relevance'."
        )


def _parent_gates(model: torch.nn.Module, module: torch.nn.Module) -> bool:
    """Whether an activation gates another signal: whoever holds it holds three linear maps or more."""
    if type(module).__module__ not in _ACTIVATIONS:
        return False
    holders = [part for part in model.modules() if any(child is module for child in part.children())]
    linear = (torch.nn.Linear, Conv1D)
    return any(sum(isinstance(child, linear) for child in part.children()) >= 3 for part in holders)


def _valued(output: torch.Tensor, way: torch.Tensor) -> torch.Tensor:
    """The value of `output` with the gradient of `way`."""
    return output.detach() + (way - way.detach())


def _scores(A: torch.Tensor) -> torch.Tensor:
    """The scores of weights, from their mean over the keys that are read; 0 where none is.

    Keys whose weight is too small for the model's numbers count as not read, as masked ones do.
    """
    read = A > 0
    logs = torch.where(read, A, 1).log()
    mean = logs.sum(-1, keepdim=True) / read.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(read, logs - mean, 0)


def _part(x: torch.Tensor, part: float) -> torch.Tensor:
    """x, with a part of its gradient."""
    return x.detach() + part * (x - x.detach())


def _slope(module: Any, args: Any, output: Any) -> Any:
    """`f(x) / x` as a constant, times x."""
    x = _carrying(args, output)
    if x is None:
        return None
    safe = torch.where(x.abs() < 1e-9, torch.full_like(x, 1e-9), x)
    return _valued(output, x * (output / safe).detach())


def _carrying(args: Any, output: Any) -> torch.Tensor | None:
    """What a module of one input made its output of, entry by entry, if gradients pass through it."""
    x: Any = args[0] if args else None
    fits = torch.is_tensor(x) and torch.is_tensor(output) and x.shape == output.shape and x.requires_grad
    found: torch.Tensor | None = x if fits else None
    return found


def _constant(module: Any, args: Any, output: Any) -> Any:
    return output.detach() if torch.is_tensor(output) else None


def _same(x: Any, y: torch.Tensor) -> bool:
    return bool(torch.is_tensor(x) and x.numel() == y.numel() and torch.equal(x.reshape(-1), y.reshape(-1)))
