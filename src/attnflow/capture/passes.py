"""Passes of a PyTorch model under watch: what they attended to, their gradients, the positions that they end at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch

from attnflow.capture.backward import Backward, first_hooks
from attnflow.capture.custom import CustomModel, Reading
from attnflow.capture.interface import Recorder, first_line
from attnflow.capture.mixing import Mixture
from attnflow.capture.norms import Norms
from attnflow.capture.records import RECORDS, Heads
from attnflow.capture.roles import GIVEN_MEMORY, Roles, Seen
from attnflow.capture.stem import Stem
from attnflow.capture.watching import Watch
from attnflow.errors import AttnflowError, CaptureError, InputError


class Passes:
    """Runs the model on one input, as often as is needed.

    Args:
        model: inside `as_found`.
        custom: what is registered for it.
        reading: the input.
        heads: how heads are reduced.
        with_norms: whether to keep norms in the first pass.
        progress: called after every attention of the first pass.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        custom: CustomModel,
        reading: Reading,
        heads: Heads,
        with_norms: bool,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.model, self.custom, self.reading = model, custom, reading
        self.norms = Norms(heads) if with_norms else None
        self.stem = Stem()
        observers = [item for item in (self.norms, self.stem) if item is not None]
        self.recorder = Recorder(model, RECORDS["attention"], heads, progress, observers=observers)
        self.seen: list[Seen] = []

    def run(self) -> Any:
        """The first pass: keeps what is asked for."""

        def found(name: str, mixture: Mixture) -> torch.Tensor | None:
            other = self.recorder.take(name, mixture)
            report = self.recorder.reports[-1]
            if report.shape:
                raise CaptureError(
                    f"The attention of {name or 'the model'} has shape {list(report.shape)}, expected [1, heads, "
                    "queries, keys]: pass one example; attention in windows or blocks is not a stack over one sequence."
                )
            weights = mixture.arrange(mixture.weights)
            read = (weights != 0).reshape(-1, weights.shape[-1]).any(0).cpu().numpy()
            self.seen.append(Seen(report, mixture.crossing, read))
            return other

        with self.recorder.within({}), Watch(self.model, self.custom.attention, found).listening():
            outputs = self._forward()
        if not self.seen:
            only = (
                ""
                if not self.custom.attention
                else f" within {', '.join(c.__name__ for c in self.custom.attention)}"
            )
            raise CaptureError(
                f"{type(self.model).__name__} computed no attention{only}: nothing in it mixed values by the rows of a "
                "softmax."
            )
        return outputs

    def follow(self, backward: Backward, roles: Roles) -> Any:
        """A pass with gradients from the first layers' input on."""
        backward.clear()

        def found(name: str, mixture: Mixture) -> None:
            backward.see(name, mixture)

        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            for handle in first_hooks(self.model, backward, self._first(roles)):
                stack.callback(handle.remove)
            stack.enter_context(Watch(self.model, self.custom.attention, found).listening())
            return self._forward()

    def _first(self, roles: Roles) -> dict[str, tuple[str, int, int]]:
        found = {}
        n, m = roles.stacks.padded
        for stack, name in roles.first.items():
            size = n if stack == "encoder" else m
            place = 0
            if name is None and stack == "encoder" and GIVEN_MEMORY in roles.stacks.partial:
                name, place = roles.first["decoder"], int(n == m)
            if name is None or size is None:
                raise CaptureError(
                    f"{type(self.model).__name__}: the first attention of its {stack} stands in no layer, so the input "
                    "of the first layer is unknown. Use attention capacities."
                )
            found[stack] = (name, size, place)
        return found

    def pooled(self, roles: Roles) -> tuple[int, ...]:
        """Positions of the last group that the logits of the whole input depend on after the last attention.

        Raises:
            CaptureError: they depend on none.
        """
        last = len(self.seen) - 1
        leaf: list[torch.Tensor] = []
        calls = iter(range(len(self.seen)))

        def found(name: str, mixture: Mixture) -> torch.Tensor | None:
            if next(calls) != last:
                return None
            torch.set_grad_enabled(True)  # until the end of the no_grad block below
            leaf.append(mixture.output.detach().requires_grad_(True))
            return leaf[0]

        with torch.no_grad(), Watch(self.model, self.custom.attention, found).listening():
            outputs = self._forward()
        with torch.enable_grad():
            logits = logits_of(self.model, self.custom, outputs, roles)
        gradient = None
        if logits is not None and logits.requires_grad:
            with torch.enable_grad():
                best = logits[0].max()
            (gradient,) = torch.autograd.grad(best, leaf, allow_unused=True)
        if gradient is None or not bool(gradient.any()):
            raise CaptureError(
                f"{type(self.model).__name__}: its logits do not depend on its last attention "
                f"({self.seen[last].report.name}), so the position that they are read at is unknown."
            )
        strength = gradient.reshape(-1, *gradient.shape[-2:]).abs().sum((0, 2))  # over heads and width
        rows = torch.nonzero(strength).flatten()
        keep = roles.keep[1 if roles.stacks.decoder else 0]
        place = {position: index for index, position in enumerate(keep)} if keep is not None else None
        return tuple(int(row) if place is None else place[int(row)] for row in rows)

    def _forward(self) -> Any:
        given = self.reading.inputs
        try:
            return self.model(**given) if isinstance(given, Mapping) else self.model(*given)
        except (IndexError, KeyError, TypeError, ValueError, RuntimeError, AssertionError) as error:
            if isinstance(error, (AttnflowError, torch.OutOfMemoryError)):
                raise
            raise InputError(
                f"{type(self.model).__name__} cannot run on these inputs: {first_line(error)}."
            ) from error


def logits_of(model: torch.nn.Module, custom: CustomModel, outputs: Any, roles: Roles) -> torch.Tensor | None:
    """The logits among what a model returned: `[1, classes]`, `[1, positions, classes]`, or None."""
    cls = type(model).__name__
    if custom.logits is not None:
        found = custom.logits(outputs)
        if not torch.is_tensor(found):
            raise CaptureError(
                f"The logits function registered for {cls} returned {type(found).__name__}, expected a tensor."
            )
    elif type(model).__module__.startswith("torch.nn.") or getattr(model, "num_classes", None) == 0:
        return None  # hidden states, not logits
    elif isinstance(outputs, Mapping) and torch.is_tensor(outputs.get("logits")):
        found = outputs["logits"]
    elif torch.is_tensor(getattr(outputs, "logits", None)):
        found = outputs.logits
    elif torch.is_tensor(outputs):
        found = outputs
    else:
        return None
    n, m = roles.stacks.padded
    positions = m if roles.stacks.decoder else n
    if found.ndim == 3 and found.shape[1] == 1 and found.shape[0] == positions != 1:
        found = found.transpose(0, 1)  # positions first, as torch.nn.Transformer has it by default
    if found.ndim == 2 and found.shape[0] == positions != 1:
        found = found[None]
    if found.ndim == 1:
        found = found[None]
    if found.ndim not in (2, 3) or found.shape[0] != 1:
        return None if custom.logits is None else _odd_logits(cls, found)
    return found


def _odd_logits(cls: str, found: torch.Tensor) -> torch.Tensor:
    raise CaptureError(
        f"{cls}: its logits have shape {list(found.shape)}, expected [1, classes] or [1, positions, classes]."
    )
