"""Running the model while every attention layer reports its weights.

The model runs with eager attention, and `attnflow.capture.mixing` listens: the recorder keeps what it needs of each
layer's weights the moment they are used, so that one reduced matrix per layer is held, never all heads of all layers.
As the configuration says "eager" throughout, masks and every branch of the family's code are those of its own eager
run, and so are all values, also where `attnflow.capture.plain` computes a family's attention in one step.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.capture.mixing import Arrange, Mixing, Mixture
from attnflow.capture.plain import plainly
from attnflow.capture.records import Heads, Keep, Observer, Sight
from attnflow.capture.state import switch_to_eager
from attnflow.errors import AttnflowError, CaptureError, InputError

#: One capture at a time switches models.
LOCK = threading.RLock()


@dataclass(frozen=True, eq=False)
class Report:
    """What one call of one attention layer left.

    Attributes:
        name: qualified name of the attention module, or of the output the weights came from.
        kept: `[queries, keys]`, or `[heads, queries, keys]` when all heads are kept.
        heads: number of heads.
        dtype: dtype of the weights in the model, such as "bfloat16".
        number: which call of the pass it was, from 0.
        shape: of the weights in the model, where they are no `[1, heads, queries, keys]`; nothing is kept of such.
    """

    name: str
    kept: NDArray[np.floating[Any]]
    heads: int
    dtype: str
    number: int = 0
    shape: tuple[int, ...] = ()


@dataclass
class Recorder:
    """Collects reports in the order in which layers are computed."""

    model: torch.nn.Module
    keep: Keep
    heads: Heads
    progress: Callable[[int, int], None] | None = None
    total: int = 0
    observers: Sequence[Observer] = ()
    reports: list[Report] = field(default_factory=list)
    #: Number of the call, from 0, from whose output on the pass shall carry gradients; None for none.
    probe: int | None = None
    #: Output of that call; without `probe`, of the last one, if it carries gradients.
    probed: torch.Tensor | None = None
    probed_at: int = -1
    #: From a product to what the pass goes on with in its place, of the same value, or None.
    mix: Callable[[Mixture], torch.Tensor | None] | None = None
    #: Name of the module whose attention is explained; "" is the whole model.
    place: str = ""
    _last: weakref.ReferenceType[torch.Tensor] | None = None

    def inside(self) -> list[Report]:
        """The reports of what is explained."""
        if not self.place:
            return self.reports
        return [report for report in self.reports if report.name.startswith(f"{self.place}.")]

    def see(self, sight: Sight) -> None:
        """Keeps what the record needs of one layer's weights, and shows the layer to the observers."""
        number = len(self.reports)
        for observer in self.observers:
            observer.see(number, sight)
        self.reports.append(
            Report(
                name=sight.name,
                kept=self.keep(sight, self.heads),
                heads=sight.weights.shape[0],
                dtype=str(sight.weights.dtype).removeprefix("torch."),
                number=number,
            )
        )
        if self.progress is not None:
            self.progress(len(self.reports), max(self.total, len(self.reports)))

    def take(self, name: str, mixture: Mixture) -> torch.Tensor | None:
        """Sees one product of weights with values.

        Returns:
            What the model shall go on with instead of its output, or None.
        """
        other = None
        if (
            self._last is not None and self._last() is mixture.weights
        ):  # the same weights mix a second half of the values
            return None
        self._last = weakref.ref(mixture.weights)  # no layer's weights are kept for it
        weights = mixture.arrange(mixture.weights)
        if len(self.reports) == self.probe:
            torch.set_grad_enabled(True)  # until the end of the pass
            other = self.probed = mixture.output.detach().requires_grad_(True)
            self.probed_at = len(self.reports)
        elif self.probe is None and mixture.output.requires_grad:
            self.probed, self.probed_at = mixture.output, len(self.reports)
        if weights.ndim == 3:
            weights = weights.unflatten(0, (_sequences(self.model, name, weights.shape[0]), -1))
        if weights.ndim != 4 or weights.shape[0] != 1:
            self.reports.append(_blocked(name, weights, len(self.reports)))
            return other
        if self.mix is not None:
            other = self.mix(mixture)
        arrange = mixture.arrange if mixture.output.ndim == 3 else _first(mixture.arrange)
        value, output = (part if part.ndim == 4 else part[None] for part in (mixture.value, mixture.output))
        self.see(
            Sight(
                name, weights[0], value, output.transpose(1, 2), mixture.weights, arrange, mixture.projection
            )
        )
        return other

    @contextlib.contextmanager
    def within(self, tensors: dict[str, Any]) -> Iterator[None]:
        """What a pass runs within, as its observers ask for it."""
        with contextlib.ExitStack() as stack:
            for observer in self.observers:
                stack.enter_context(observer.within(self.model, tensors))
            yield


def run_listening(model: torch.nn.Module, tensors: dict[str, Any], recorder: Recorder) -> Any:
    """Runs the model once with eager attention while `recorder` listens. Call inside `as_found`.

    Returns:
        The model's outputs.

    Raises:
        InputError: the model does not accept these inputs.
    """
    switch_to_eager(model)
    mixing = Mixing(model, recorder.take)
    with torch.no_grad(), recorder.within(tensors), plainly(mixing), mixing.listening():
        outputs = forward(model, tensors)
    check_mixed(model, mixing.unmixed)
    return outputs


def check_mixed(model: torch.nn.Module, unmixed: Mapping[int, tuple[str, tuple[int, ...]]]) -> None:
    """Refuses attention whose weights are not multiplied with values, as deformable attention's are not.

    Args:
        model: the model that ran.
        unmixed: modules that computed a softmax that mixed nothing, and its shape.

    Raises:
        CaptureError: one of them is attention.
    """
    for name, shape in unmixed.values():
        kind = type(model.get_submodule(name)).__name__
        if len(shape) >= 4 and re.search("attention|attn", f"{name} {kind}", re.IGNORECASE):
            raise CaptureError(
                f"{type(model).__name__}: {name} ({kind}) computes weights of shape {list(shape)} and never multiplies "
                "them with values as a whole: banded, deformable or sampling attention cannot be read as a stack."
            )


def _sequences(model: torch.nn.Module, name: str, rows: int) -> int:
    """How many sequences stand in the heads' axis: one, where the module does not count its heads."""
    module = model.get_submodule(name)
    for attribute in ("num_attention_heads", "num_heads"):
        heads = getattr(module, attribute, None)
        if type(heads) is int and heads > 0 and rows % heads == 0:
            return rows // heads
    return 1


def _blocked(name: str, weights: torch.Tensor, number: int) -> Report:
    """What remains of attention in windows, blocks or a batch: its shape."""
    dtype = str(weights.dtype).removeprefix("torch.")
    return Report(name, np.empty((0, 0)), 0, dtype, number, tuple(weights.shape))


def _first(arrange: Arrange) -> Arrange:
    return lambda tensor: arrange(tensor)[0]


def accepted(model: torch.nn.Module) -> tuple[set[str], bool]:
    """Names of the arguments that the model's forward takes, and whether it takes any others."""
    if isinstance(model.forward, MethodType):
        parameters = _parameters(model.forward.__func__)[1:]
    else:
        parameters = tuple(inspect.signature(model.forward).parameters.values())
    return {p.name for p in parameters}, any(p.kind is p.VAR_KEYWORD for p in parameters)


@functools.lru_cache(1 << 8)
def _parameters(function: Any) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(function).parameters.values())


def forward(model: torch.nn.Module, tensors: dict[str, Any]) -> Any:
    """Calls the model, without a cache, and states in one sentence why it could not run.

    Raises:
        InputError: the model does not accept these inputs.
    """
    named = accepted(model)[0]
    extra = {name: value for name, value in (("use_cache", False), ("return_dict", True)) if name in named}
    try:
        return model(**{**tensors, **extra})
    except (IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, (AttnflowError, torch.OutOfMemoryError)):
            raise
        raise InputError(
            f"{type(model).__name__} cannot run on {', '.join(sorted(tensors))}: {first_line(error)}."
        ) from error


def first_line(error: Exception) -> str:
    """The first line of an error's message, without the stop; its class if it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__
