"""Gradients of one output with respect to the attention that a `Watch` saw, and to what the first layers read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from attnflow.capture.gradients import GRADIENTS, Gathered
from attnflow.capture.interface import first_line
from attnflow.capture.mixing import Mixture
from attnflow.capture.outputs import Question, Terms, logit
from attnflow.capture.records import CONSERVED, Heads
from attnflow.errors import AttnflowError, CaptureError


class Backward:
    """Follows a pass with gradients on, then differentiates outputs of it.

    Args:
        records: names of gradient records.
        heads: which heads count.
    """

    def __init__(self, records: Sequence[str], heads: Heads) -> None:
        if CONSERVED in records:
            raise CaptureError(
                "'conserved' follows the norms of a model of transformers, and this is another: use 'relevance'."
            )
        self.records = {name: GRADIENTS[name] for name in records}
        self.heads = heads
        self.seen: list[tuple[str, Mixture]] = []
        self.inputs: dict[str, torch.Tensor] = {}

    def clear(self) -> None:
        """Lets go of the last pass."""
        self.seen.clear()
        self.inputs.clear()

    def enter(
        self, stack: str, size: int, place: int, module: torch.nn.Module, args: Any, kwargs: Any
    ) -> None:
        """A hook before the first layer of a stack: what it reads carries gradients from here on.

        Args:
            stack: "encoder" or "decoder".
            size: number of its positions.
            place: which of the layer's inputs with that many positions it is, from 0.
            module: the layer.
            args: what it is called with.
            kwargs: and by name.
        """
        if stack in self.inputs:  # layers that share one module: the first call counts
            return
        found = [
            x
            for x in (*args, *kwargs.values())
            if torch.is_tensor(x) and x.is_floating_point() and x.ndim >= 2 and _rows(x) == size
        ]
        if len(found) <= place:
            raise CaptureError(
                f"{type(module).__name__} is where the {stack} begins, but it is not called with one vector for each "
                f"of the {size} positions, so the input of the first layer is unknown. Use attention capacities."
            )
        torch.set_grad_enabled(True)  # until the end of the caller's no_grad block
        x = found[place]
        if not x.requires_grad:
            x.requires_grad_(True)
        self.inputs[stack] = x

    def see(self, name: str, mixture: Mixture) -> None:
        """Remembers one attention, in the order of computation."""
        self.seen.append((name, mixture))

    def gather(
        self,
        model: torch.nn.Module,
        again: Callable[[float], Any],
        outputs: Any,
        questions: Sequence[Question],
        steps: int,
        progress: Callable[[int, int], None] | None,
    ) -> list[Gathered]:
        """Differentiates one output per question.

        Args:
            model: the model that ran.
            again: runs it at another point of the line to its input, and returns what it returned.
            outputs: what it returned in the pass just followed.
            questions: whose outputs are differentiated; the same output is differentiated once.
            steps: points on the line, the input itself included.
            progress: called after every backward pass.

        Raises:
            CaptureError: an output that does not depend on every layer's weights; a backward pass that fails.
        """
        logits: dict[Terms, Gathered] = {question.terms: Gathered() for question in questions}
        sums: dict[Terms, list[dict[str, torch.Tensor]]] = {terms: [] for terms in logits}
        total = steps * len(logits)
        for index in range(steps):
            if index:
                outputs = again((steps - index) / steps)
            for number, (terms, found) in enumerate(logits.items()):
                with torch.enable_grad():
                    y = logit(outputs, terms)
                if not index:
                    found.value = float(y.detach())
                self._differentiate(model, y, found, sums[terms], 1 / steps, number + 1 < len(logits))
                if progress is not None and total > 1:
                    progress(index * len(logits) + number + 1, total)
        self.clear()
        for terms, found in logits.items():
            for call, products in enumerate(sums[terms]):
                for name, product in products.items():
                    for kept, matrix in self.records[name].finish(product).items():
                        found.layers.setdefault(kept, {})[call] = matrix.cpu().numpy()
        return [logits[question.terms] for question in questions]

    def _differentiate(
        self,
        model: torch.nn.Module,
        y: torch.Tensor,
        found: Gathered,
        sums: list[dict[str, torch.Tensor]],
        share: float,
        retain: bool,
    ) -> None:
        cls = type(model).__name__
        if not y.requires_grad:
            raise CaptureError(f"{cls}: its output does not depend on the input of its first layer.")
        leaves = list(self.inputs.items())
        late = next((name for name, mixture in self.seen if not mixture.weights.requires_grad), None)
        if late is not None:
            raise CaptureError(
                f"{cls}: the attention of {late} does not depend on the input of the first layer, so it has no "
                "gradient. Use attention capacities."
            )
        weights = [mixture.weights for _, mixture in self.seen]
        try:
            gradients = torch.autograd.grad(
                y, [*weights, *(x for _, x in leaves)], retain_graph=retain, allow_unused=True
            )
        except (RuntimeError, NotImplementedError) as error:
            if isinstance(error, AttnflowError):
                raise
            raise CaptureError(f"{cls} cannot be differentiated: {first_line(error)}.") from error
        for number, ((name, mixture), G) in enumerate(zip(self.seen, gradients)):
            if G is None:
                raise CaptureError(
                    f"{cls}: the output has no gradient with respect to the attention of {name}; expected one in every "
                    "layer. Use attention capacities."
                )
            chosen = [self.heads.chosen(_rows_of(mixture.arrange(part))) for part in (mixture.weights, G)]
            products = {kind: record.product(*chosen) * share for kind, record in self.records.items()}
            if number == len(sums):
                sums.append(products)
            else:
                for kind, product in products.items():
                    sums[number][kind] += product
        for (stack, x), gradient in zip(leaves, gradients[len(weights) :]):
            part = np.zeros(_rows(x))
            if gradient is not None:
                part = (x.detach().double() * gradient.double()).sum(-1).reshape(-1).cpu().numpy()
            found.inputs[stack] = found.inputs.get(stack, 0.0) + share * part


def first_hooks(
    model: torch.nn.Module, backward: Backward, first: Mapping[str, tuple[str, int, int]]
) -> list[Any]:
    """Hooks `Backward.enter` before the first layers.

    Args:
        model: the model.
        backward: what follows the pass.
        first: by stack, the name of the layer, the number of positions, and which input of that size it is.
    """
    return [
        model.get_submodule(name).register_forward_pre_hook(
            partial(backward.enter, stack, size, place), with_kwargs=True
        )
        for stack, (name, size, place) in first.items()
    ]


def _rows_of(weights: torch.Tensor) -> torch.Tensor:
    """`[heads, queries, keys]`."""
    return weights if weights.ndim == 3 else weights[0]


def _rows(x: torch.Tensor) -> int:
    return x.numel() // x.shape[-1] if x.shape[-1] else 0
