"""One pass over a batch: what each row attended to, what its head reads, and the gradients of each row's outputs.

Rows do not depend on each other, so the gradient of the sum of one output per row holds the gradient of each.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from attnflow.capture.gradients import Gathered, Gradients, first_layers
from attnflow.capture.interface import Report, check_mixed, first_line, forward
from attnflow.capture.line import Line
from attnflow.capture.mixing import Mixing, Mixture
from attnflow.capture.outcomes import find_logits, find_vector
from attnflow.capture.outputs import Terms, logit
from attnflow.capture.padding import Apart, Padded
from attnflow.capture.plain import plainly
from attnflow.capture.pooling import Pooled
from attnflow.capture.records import Sight
from attnflow.capture.requests import Differentiate, Forward, Probe
from attnflow.capture.state import switch_to_eager
from attnflow.errors import AttnflowError, CaptureError, InputError

#: Outputs `[batch, positions]`; any other with two axes is `[batch, classes]`.
_BY_POSITION = {"start_logits", "end_logits"}


class Row(dict[str, Any]):
    """What the model returned for one row, by name, also as attributes."""

    def __getattr__(self, name: str) -> Any:
        """The output of that name."""
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class Together:
    """Runs a batch, and answers what its rows ask afterwards.

    Args:
        rows: the pass that each asks for.
        padded: the same as one batch.
        first: names of the first layers of this model, filled where they are still unknown.
    """

    def __init__(self, rows: Sequence[Forward], padded: Padded, first: dict[str, str]) -> None:
        self.model: Any = rows[0].model
        self.rows, self.padded, self.first = rows, padded, first
        self.outputs: list[Row] = []
        observers = [observer for row in rows for observer in row.recorder.observers]
        if any(type(observer) is not Gradients for observer in observers):
            raise Apart("norms and places are read from one input at a time")
        if any(isinstance(observer, Gradients) and observer.conserved is not None for observer in observers):
            raise Apart("relevance is shared out for one input at a time")
        self.with_gradients = bool(observers)
        self._names: list[str] = []
        self._weights: list[tuple[torch.Tensor, Any]] = []
        self._handles: list[Any] = []
        self._inputs: dict[str, torch.Tensor] = {}
        self._last: weakref.ReferenceType[torch.Tensor] | None = None

    # -- the pass --------------------------------------------------------------------------------------

    def run(self) -> None:
        """The first pass: what each row attended to, into its own recorder.

        Raises:
            Apart: attention that is not `[batch, heads, queries, keys]`, or a model that takes no batch of these.
        """
        if self.with_gradients and not self.first:
            self.first.update(first_layers(self.model, self.rows[0].tensors))
        try:
            self.outputs = self._pass(self._report)
        except InputError as error:
            raise Apart(str(error)) from error
        for row in self.rows:
            recorder = row.recorder
            if recorder.progress is not None:
                recorder.progress(len(recorder.reports), len(recorder.reports))

    def _pass(self, take: Any, line: contextlib.AbstractContextManager[None] | None = None) -> list[Row]:
        self._release()
        switch_to_eager(self.model)
        mixing = Mixing(self.model, partial(self._take, take))
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if self.with_gradients:
                stack.enter_context(self._following())
            if line is not None:
                stack.enter_context(line)
            with plainly(mixing), mixing.listening():
                outputs = forward(self.model, self.padded.tensors)
            check_mixed(self.model, mixing.unmixed)
            return self._apart(outputs)

    def _take(self, take: Any, name: str, mixture: Mixture) -> torch.Tensor | None:
        if (
            self._last is not None and self._last() is mixture.weights
        ):  # the same weights mix a second half of the values
            return None
        self._last = weakref.ref(mixture.weights)  # no layer's weights are kept for it
        weights = mixture.arrange(mixture.weights)
        if weights.ndim != 4 or weights.shape[0] != len(self.rows):
            raise Apart(f"the attention of {name} has shape {list(weights.shape)}")
        if any(size not in self.padded.places for size in weights.shape[-2:]):
            raise Apart(f"the attention of {name} is over other positions than the input's")
        number = len(self._names)
        self._names.append(name)
        if self.with_gradients:
            self._weights.append((mixture.weights, mixture.arrange))
        other: torch.Tensor | None = take(number, name, mixture, weights)
        return other

    def _report(self, number: int, name: str, mixture: Mixture, weights: torch.Tensor) -> None:
        for index, row in enumerate(self.rows):
            part = self._cut(weights[index], index)
            sight = Sight(name, part, mixture.value, mixture.output, mixture.weights, mixture.arrange)
            kept = row.recorder.keep(sight, row.recorder.heads)
            dtype = str(weights.dtype).removeprefix("torch.")
            row.recorder.reports.append(Report(name, kept, part.shape[0], dtype, number))

    def _cut(self, matrix: torch.Tensor, row: int) -> torch.Tensor:
        """One row's `[..., queries, keys]` without padding."""
        queries, keys = (self.padded.places[size][row] for size in matrix.shape[-2:])
        return matrix[..., queries.start : queries.stop, keys.start : keys.stop]

    def _apart(self, outputs: Any) -> list[Row]:
        """What the model returned, row by row, padding cut."""
        with torch.enable_grad():
            return [
                Row(
                    (name, self._part(name, value, row))
                    for name, value in outputs.items()
                    if torch.is_tensor(value) and value.ndim and value.shape[0] == len(self.rows)
                )
                for row in range(len(self.rows))
            ]

    def _part(self, name: str, value: torch.Tensor, row: int) -> torch.Tensor:
        part = value[row : row + 1]
        if value.ndim >= 3 or (value.ndim == 2 and name in _BY_POSITION):
            place = self.padded.places.get(value.shape[1])
            if place is not None:
                part = part[:, place[row].start : place[row].stop]
        return part

    # -- what the head reads ---------------------------------------------------------------------------

    def probe(self, requests: Mapping[int, Probe]) -> dict[int, Pooled | None]:
        """Which positions the head of each row reads, by one more pass."""
        if any(isinstance(module, torch.nn.MultiheadAttention) for module in self.model.modules()):
            return {row: request.alone() for row, request in requests.items()}
        last = {request.last for request in requests.values()}
        if len(last) != 1 or any(part.is_inference() for part in self.model.parameters()):
            return {row: request.alone() for row, request in requests.items()}
        leaf: list[torch.Tensor] = []

        def lift(number: int, name: str, mixture: Mixture, weights: torch.Tensor) -> torch.Tensor | None:
            if number not in last:
                return None
            torch.set_grad_enabled(True)  # until the end of the no_grad block around the pass
            leaf.append(mixture.output.detach().requires_grad_(True))
            return leaf[0]

        following, self.with_gradients = self.with_gradients, False
        kept = self._keep()
        try:
            outputs = self._pass(lift)
        finally:
            self.with_gradients = following
            self._restore(kept)
        asked = {row: _asked(outputs[row]) for row in requests}
        summed = [value for value in asked.values() if value is not None and value.requires_grad]
        if not summed or not leaf:
            return dict.fromkeys(requests)
        with torch.enable_grad():
            total = torch.stack(summed).sum()
        (gradient,) = torch.autograd.grad(total, leaf, allow_unused=True)
        if gradient is None:
            return dict.fromkeys(requests)
        found: dict[int, Pooled | None] = {}
        for row in requests:
            strength = gradient[row].reshape(-1, *gradient.shape[-2:]).abs().sum((0, 2))
            place = self.padded.places[strength.numel()][row]
            read = torch.nonzero(strength[place.start : place.stop]).flatten()
            found[row] = Pooled(tuple(int(index) for index in read)) if len(read) else None
        return found

    def _keep(self) -> tuple[Any, ...]:
        """Sets the pass that was followed aside: another one runs in between."""
        kept = (self._names, self._weights, self._handles, self._inputs)
        self._names, self._weights, self._handles, self._inputs = [], [], [], {}
        return kept

    def _restore(self, kept: tuple[Any, ...]) -> None:
        self._names, self._weights, self._handles, self._inputs = kept

    # -- gradients -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _following(self) -> Iterator[None]:
        """Gradients from the first layers' input on."""
        with contextlib.ExitStack() as stack:
            for name, layer in self.first.items():
                module = self.model.get_submodule(layer)
                hook = module.register_forward_pre_hook(partial(self._enter, name), with_kwargs=True)
                stack.callback(hook.remove)
            yield

    def _enter(self, stack: str, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        if stack in self._inputs:  # layers that share one module: the first call counts
            return
        candidates = [kwargs.get("hidden_states"), *args, *kwargs.values()]
        found = next((x for x in candidates if torch.is_tensor(x) and x.ndim == 3), None)
        if found is None or found.shape[0] != len(self.rows) or not found.is_floating_point():
            raise Apart(f"{type(module).__name__} takes no hidden states [batch, positions, width]")
        torch.set_grad_enabled(True)  # until the end of the no_grad block around the pass
        if not found.requires_grad:
            found.requires_grad_(True)
        self._inputs[stack] = found

    def differentiate(self, requests: Mapping[int, Differentiate]) -> dict[int, list[Gathered]]:
        """The gradients that each row asks for: one backward pass for one output of every row.

        Raises:
            CaptureError: an output without gradient, or a backward pass that fails.
        """
        steps = next(iter(requests.values())).steps
        found: dict[int, dict[Terms, Gathered]] = {
            row: {question.terms: Gathered() for question in request.questions}
            for row, request in requests.items()
        }
        rounds = max(len(terms) for terms in found.values())
        outputs = self.outputs
        for index in range(steps):
            if index:
                outputs = self._pass(_nothing, self._line(requests, (steps - index) / steps))
            for turn in range(rounds):
                asked = {row: list(terms)[turn] for row, terms in found.items() if turn < len(terms)}
                with torch.enable_grad():
                    values = {row: logit(outputs[row], terms) for row, terms in asked.items()}
                    total = torch.stack(list(values.values())).sum()
                gathered = {row: found[row][terms] for row, terms in asked.items()}
                if not index:
                    for row, value in values.items():
                        gathered[row].value = float(value.detach())
                self._backward(
                    total, gathered, requests, 1 / steps, retain=turn + 1 < rounds, last=index + 1 == steps
                )
        self._release()
        return {
            row: [found[row][question.terms] for question in request.questions]
            for row, request in requests.items()
        }

    def _backward(
        self,
        total: torch.Tensor,
        gathered: Mapping[int, Gathered],
        requests: Mapping[int, Differentiate],
        share: float,
        retain: bool,
        last: bool,
    ) -> None:
        cls = type(self.model).__name__
        if not total.requires_grad:
            raise CaptureError(f"{cls}: its output does not depend on the input of its first layer.")
        arrived: set[int] = set()
        handles = [
            weights.register_hook(
                partial(self._arrive, number, arrange, weights, arrived, gathered, requests, share, last)
            )
            for number, (weights, arrange) in enumerate(self._weights)
            if weights.requires_grad
        ]
        inputs = list(self._inputs.values())
        try:
            gradients = torch.autograd.grad(total, inputs, retain_graph=retain, allow_unused=True)
        except (RuntimeError, NotImplementedError) as error:
            if isinstance(error, AttnflowError):
                raise
            raise CaptureError(f"{cls} cannot be differentiated: {first_line(error)}.") from error
        finally:
            for handle in handles:
                handle.remove()
        missing = [
            name
            for number, (name, (weights, _)) in enumerate(zip(self._names, self._weights))
            if weights.requires_grad and number not in arrived
        ]
        if missing:
            raise CaptureError(
                f"{cls}: the output has no gradient with respect to the attention of {missing[0]}; expected one in "
                "every layer. Use attention capacities."
            )
        for (stack, x), gradient in zip(self._inputs.items(), gradients):
            places = self.padded.places[x.shape[1]]
            for row, kept in gathered.items():
                place = places[row]
                part = np.zeros(len(place))
                if gradient is not None:
                    product = (x.detach()[row].double() * gradient[row].double()).sum(-1)
                    part = product[place.start : place.stop].cpu().numpy()
                kept.inputs[stack] = kept.inputs.get(stack, 0.0) + share * part

    def _arrive(
        self,
        number: int,
        arrange: Any,
        weights: torch.Tensor,
        arrived: set[int],
        gathered: Mapping[int, Gathered],
        requests: Mapping[int, Differentiate],
        share: float,
        last: bool,
        gradient: torch.Tensor,
    ) -> None:
        """Reduces one layer's gradient over heads, row by row, the moment it is there."""
        arrived.add(number)
        both = arrange(weights.detach()), arrange(gradient)
        for row, found in gathered.items():
            gradients = requests[row].gradients
            A, G = (gradients.heads.chosen(self._cut(part[row], row)) for part in both)
            for name, record in gradients.records.items():
                product = record.product(A, G) * share
                if (name, number) in found.products:
                    product += found.products.pop((name, number))
                if not last:
                    found.products[name, number] = product
                    continue
                for kept, matrix in record.finish(product).items():
                    found.layers.setdefault(kept, {})[number] = matrix.cpu().numpy()

    @contextlib.contextmanager
    def _line(self, requests: Mapping[int, Differentiate], alpha: float) -> Iterator[None]:
        """Puts every row at its own point of its own line."""
        lines: dict[int, Line] = {
            row: request.gradients.line
            for row, request in requests.items()
            if request.gradients.line is not None
        }
        some = next(iter(lines.values()))
        calls = 0

        def move(module: torch.nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
            nonlocal calls
            calls += 1
            if calls > 1:
                return None
            if output.ndim != 3 or output.shape[0] != len(self.rows):
                raise CaptureError(
                    f"The token embeddings have shape {list(output.shape)}: steps=1 needs none."
                )
            mask = torch.zeros(output.shape[:2], dtype=torch.bool, device=output.device)
            for row, line in lines.items():
                place = self.padded.places[output.shape[1]][row]
                mask[row, place.start : place.stop] = torch.tensor(line.moving, device=output.device)
            return torch.where(mask[..., None], some.base + alpha * (output - some.base), output)

        handle = some.embedding.register_forward_hook(move)
        try:
            yield
        finally:
            handle.remove()

    def _release(self) -> None:
        """Lets go of the pass."""
        self._names, self._weights, self._handles, self._inputs = [], [], [], {}


def _nothing(number: int, name: str, mixture: Mixture, weights: torch.Tensor) -> None:
    return None


def _asked(outputs: Row) -> torch.Tensor | None:
    """What `attnflow.capture.pooling.probed` differentiates, of one row."""
    logits: Any = find_logits(outputs)
    vector: Any = find_vector(outputs)
    asked = vector if logits is None or logits.ndim != 2 else logits
    if asked is None:
        return None
    with torch.enable_grad():
        found: torch.Tensor = asked[0].square().sum() if asked is vector else asked[0].max()
    return found
