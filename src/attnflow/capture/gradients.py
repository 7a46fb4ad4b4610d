"""Records of one output's gradient: attention weights times what the output's logit owes to them.

The pass runs with eager attention, gradients from the first layer's input on. Each layer's weights carry a
hook that reduces their gradient over heads the moment it arrives, so that one layer's gradient is held at a
time. Parameters are never asked for a gradient: neither their `.grad` nor their `requires_grad` is touched.

Where a weight is zero (masked) there is no edge, so its gradient counts as zero. With `steps` above 1 every
product is averaged over a line of inputs before any positive part is taken; see `attnflow.capture.line`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.capture.conserved import Conserved
from attnflow.capture.entrance import entered
from attnflow.capture.generation import is_encoder_decoder
from attnflow.capture.interface import Recorder, first_line, run_listening
from attnflow.capture.layers import encoder_names, layer_of
from attnflow.capture.line import Line
from attnflow.capture.outputs import Question, Terms, logit
from attnflow.capture.records import CONSERVED, Heads, Sight, keep_attention
from attnflow.capture.stacks import crossed, folder_of, of_prediction
from attnflow.errors import AttnflowError, CaptureError

Matrix = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class GradientRecord:
    """One way to reduce weights A and their gradient G, both `[heads, queries, keys]`.

    Attributes:
        product: what is averaged over steps, of A and G.
        finish: from that average to matrices `[queries, keys]` by the names of the records they make.
    """

    product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    finish: Callable[[torch.Tensor], dict[str, torch.Tensor]]


def _parts(name: str) -> Callable[[torch.Tensor], dict[str, torch.Tensor]]:
    def finish(product: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            name: product.clamp(min=0).mean(0),
            f"{name}-opposing": (-product).clamp(min=0).mean(0),
        }

    return finish


#: By the name of the record; spec of each in `attnflow.capacity`.
GRADIENTS: dict[str, GradientRecord] = {
    "relevance": GradientRecord(lambda A, G: (A * G).sum(0), lambda S: {"relevance": S}),
    "attention-gradient": GradientRecord(lambda A, G: A * G, _parts("attention-gradient")),
    "gradient": GradientRecord(lambda A, G: G.masked_fill(A == 0, 0), _parts("gradient")),
}


@dataclass
class Gathered:
    """What the gradient of one output left.

    Attributes:
        layers: per record one matrix for every call of the pass, padding not cropped.
        products: per kind of gradient and call what is summed over steps so far.
        inputs: x . dy/dx at every position of the first layer's input, per stack; "only" for a single stack.
        value: y.
    """

    layers: dict[str, dict[int, Matrix]] = field(default_factory=dict)
    products: dict[tuple[str, int], torch.Tensor] = field(default_factory=dict)
    inputs: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    value: float = 0.0


class Gradients:
    """Observes passes and differentiates outputs of them.

    Args:
        records: names of `GRADIENTS`, and "conserved".
        heads: which heads count.
    """

    def __init__(self, records: Sequence[str], heads: Heads) -> None:
        self.records = {name: GRADIENTS[name] for name in records if name != CONSERVED}
        self.conserved = Conserved(heads) if CONSERVED in records else None
        self.heads = heads
        self.line: Line | None = None
        self.alpha = 1.0
        self._first: dict[str, str] | None = None
        self._sights: dict[int, Sight] = {}
        self._handles: list[Any] = []
        self._inputs: dict[str, torch.Tensor] = {}
        self._found = Gathered()
        self._share, self._last = 1.0, True
        self._name = ""  # of the model's class

    # -- during the pass -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def within(self, model: torch.nn.Module, tensors: dict[str, Any]) -> Iterator[None]:
        """Gradients from the first layer's input on; the embedding moved along the line."""
        self.release()
        if not self.records:
            yield
            return
        if self._first is None:
            self._first = first_layers(model, tensors)
        with torch.no_grad(), contextlib.ExitStack() as stack:
            for name, layer in self._first.items():
                handle = model.get_submodule(layer).register_forward_pre_hook(
                    partial(self._enter, name), with_kwargs=True
                )
                stack.callback(handle.remove)
            if self.line is not None and self.alpha != 1:
                stack.enter_context(self.line.at(self.alpha))
            yield

    def _enter(self, stack: str, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        entered(self._inputs, stack, module, args, kwargs)

    def see(self, number: int, sight: Sight) -> None:
        """Hooks one layer's weights."""
        self._sights[number] = sight
        if sight.batch.requires_grad:
            self._handles.append(sight.batch.register_hook(partial(self._arrive, number)))

    def release(self) -> None:
        """Lets go of the pass: hooks point back into its graph."""
        for handle in self._handles:
            handle.remove()
        for kept in (self._handles, self._sights):
            kept.clear()
        self._inputs.clear()

    # -- after it --------------------------------------------------------------------------------------

    def gather(
        self,
        model: torch.nn.Module,
        tensors: dict[str, Any],
        outputs: Any,
        questions: Sequence[Question],
        steps: int,
        progress: Callable[[int, int], None] | None,
    ) -> list[Gathered]:
        """Differentiates one output per question.

        Args:
            model: the model that ran, inside `as_found`.
            tensors: what it ran on.
            outputs: what it returned in the pass that this object has just observed.
            questions: whose outputs are differentiated; the same output is differentiated once.
            steps: points on the line, the input itself included.
            progress: called after every backward pass.

        Raises:
            CaptureError: an output that does not depend on every layer's weights; a backward pass that fails.
        """
        logits: dict[Terms, Gathered] = {question.terms: Gathered() for question in questions}
        if self.conserved is not None:
            if self._first is None:
                self._first = first_layers(model, tensors)
            self.conserved.gather(model, tensors, logits, steps, self.line, self._first)
        if not self.records:
            for terms, found in logits.items():
                found.value = float(logit(outputs, terms))
            return [logits[question.terms] for question in questions]
        self._share, self._name = 1 / steps, type(model).__name__
        total = steps * len(logits)
        for index in range(steps):
            self._last = index + 1 == steps
            if index:
                self.alpha = (steps - index) / steps
                outputs = self._again(model, tensors)
            for number, (terms, found) in enumerate(logits.items()):
                self._found = found
                with torch.enable_grad():
                    y = logit(outputs, terms)
                if not index:
                    found.value = float(y.detach())
                self._differentiate(model, y, retain=number + 1 < len(logits))
                if progress is not None and total > 1:
                    progress(index * len(logits) + number + 1, total)
        self.release()
        return [logits[question.terms] for question in questions]

    def _again(self, model: torch.nn.Module, tensors: dict[str, Any]) -> Any:
        recorder = Recorder(model, lambda sight, heads: np.empty((0, 0)), self.heads, observers=(self,))
        return run_listening(model, tensors, recorder)

    def _differentiate(self, model: torch.nn.Module, y: torch.Tensor, retain: bool) -> None:
        found = self._found
        cls = type(model).__name__
        if not y.requires_grad:
            raise CaptureError(f"{cls}: its output does not depend on the input of its first layer.")
        inputs = list(self._inputs.values())
        try:
            gradients = torch.autograd.grad(y, inputs, retain_graph=retain, allow_unused=True)
        except (RuntimeError, NotImplementedError) as error:
            if isinstance(error, AttnflowError):
                raise
            raise CaptureError(f"{cls} cannot be differentiated: {first_line(error)}.") from error
        for (stack, x), gradient in zip(self._inputs.items(), gradients):
            if gradient is None:
                part = np.zeros(x.shape[0] * x.shape[1])
            else:  # one example, before or behind the axis of positions
                part = (x.detach().double() * gradient.double()).sum(-1).flatten().cpu().numpy()
            found.inputs[stack] = found.inputs.get(stack, 0.0) + self._share * part

    def _arrive(self, number: int, gradient: torch.Tensor | None) -> None:
        sight = self._sights[number]
        if gradient is None:
            raise CaptureError(
                f"{self._name}: no gradient reaches the attention of {sight.name}, as what follows it cannot be "
                "differentiated; layers with quantised weights are such. Load the model in float32 or half precision, "
                "or use attention capacities."
            )
        A, G = self.heads.chosen(sight.weights), self.heads.chosen(sight.arrange(gradient))
        for name, record in self.records.items():
            product = record.product(A, G) * self._share
            if (name, number) in self._found.products:
                product += self._found.products.pop((name, number))
            if not self._last:
                self._found.products[name, number] = product
                continue
            for kept, matrix in record.finish(product).items():
                self._found.layers.setdefault(kept, {})[number] = matrix.cpu().numpy()


class _Found(Exception):  # noqa: N818
    """Stops a pass that has shown what was sought."""


class _Scout:
    """Stops a pass at the first attention of the stack that is sought."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.both = is_encoder_decoder(model)
        self.inside = encoder_names(model) if self.both else set()
        self.alone = not self.both and _lists_of_layers(model) < 2
        self.first: dict[str, str] = {}

    def within(
        self, model: torch.nn.Module, tensors: dict[str, Any]
    ) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def see(self, number: int, sight: Sight) -> None:
        if sight.name in self.inside:
            self.first.setdefault("encoder", sight.name)
        elif self.both or self.alone:
            self.first["decoder" if self.both else "only"] = sight.name
            raise _Found


def _lists_of_layers(model: torch.nn.Module) -> int:
    """Number of lists of layers, none inside another, that hold attention."""
    held = {
        folder_of(name)
        for name, module in model.named_modules()
        if "attention" in type(module).__name__.lower() or "attn" in type(module).__name__.lower()
    }
    return len({name for name in held if name.endswith(".")})


def first_layers(model: torch.nn.Module, tensors: dict[str, Any]) -> dict[str, str]:
    """Finds the first layer of each stack by a pass without gradients.

    Returns:
        Qualified names by "only", or by "encoder" and "decoder".
    """
    scout = _Scout(model)
    recorder = Recorder(model, keep_attention, Heads("mean"), observers=(scout,))
    with torch.no_grad(), contextlib.suppress(_Found):
        run_listening(model, tensors, recorder)
    first = scout.first
    if not first:  # several stacks ran: which of them are explained shows in the end
        parts = crossed(model, recorder.reports)
        if parts is not None:
            first = {"encoder": parts.encoder[0].name, "decoder": parts.decoder[0].name}
        else:
            ids: Any = tensors.get("input_ids")
            size = int(ids.shape[1]) if torch.is_tensor(ids) else None
            first = {"only": of_prediction(model, recorder.reports, size)[0].name}
    layers = {stack: layer_of(name) for stack, name in first.items()}
    for stack, layer in layers.items():
        if layer is None:
            raise CaptureError(
                f"{type(model).__name__}: the attention {first[stack]} stands in no list of layers, so the "
                "input of its first layer is unknown. Use attention capacities."
            )
    return {stack: layer for stack, layer in layers.items() if layer is not None}
