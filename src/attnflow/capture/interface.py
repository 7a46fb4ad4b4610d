"""Running the model while every attention layer reports its weights.

Families on the attention interface of transformers look their attention function up by name at every
call. While a capture runs, the name "eager" is bound to `_observed`, which calls the module's own eager
forward, lets the recorder keep what it needs of the weights, and passes the output on: one reduced matrix
per layer is held at a time, never all heads of all layers. As the configuration says "eager" throughout,
masks and every branch of the family's code are those of its own eager run, and so are all values.

Families off the interface hand their weights out through `output_attentions=True`.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.capture.records import Heads, Keep, Observer, Sight
from attnflow.capture.state import switch_to_eager
from attnflow.errors import AttnflowError, CaptureError, InputError

#: One capture at a time switches models and the attention interface.
LOCK = threading.RLock()


@dataclass(frozen=True)
class Report:
    """What one call of one attention layer left.

    Attributes:
        name: qualified name of the attention module, or of the output the weights came from.
        kept: `[queries, keys]`, or `[heads, queries, keys]` when all heads are kept.
        heads: number of heads.
        dtype: dtype of the weights in the model, such as "bfloat16".
        number: which call of the pass it was, from 0.
    """

    name: str
    kept: NDArray[np.floating[Any]]
    heads: int
    dtype: str
    number: int = 0


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
    #: Number of the call, from 0, whose output shall carry gradients; None for none.
    probe: int | None = None
    probed: torch.Tensor | None = None

    def __post_init__(self) -> None:
        self.names = {id(module): name for name, module in self.model.named_modules()}

    def listen_to(self, place: str) -> None:
        """Leaves out every module that is not inside the module called `place`; "" is the whole model."""
        if place:
            inside = f"{place}."
            self.names = {id: name for id, name in self.names.items() if name.startswith(inside)}

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

    @contextlib.contextmanager
    def within(self, tensors: dict[str, Any], how: str) -> Iterator[None]:
        """What a pass runs within, as its observers ask for it."""
        with contextlib.ExitStack() as stack:
            for observer in self.observers:
                stack.enter_context(observer.within(self.model, tensors, how))
            yield


class OffInterfaceError(Exception):
    """A module asked the attention interface but has no eager forward of its own to call."""


_RECORDER: ContextVar[Recorder | None] = ContextVar("attnflow_recorder", default=None)


def eager_forward_of(module: torch.nn.Module) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Finds the eager attention function that this module's own forward falls back to.

    Raises:
        OffInterfaceError: its forward names none.
    """
    forward = inspect.unwrap(type(module).forward)
    names = [name for name in forward.__code__.co_names if name.endswith("eager_attention_forward")]
    for name in [*names, "eager_attention_forward"]:
        found = forward.__globals__.get(name)
        if callable(found):
            return found  # type: ignore[no-any-return]
    raise OffInterfaceError(type(module).__name__)


def _observed(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *args: Any,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    output, weights = eager_forward_of(module)(module, query, key, value, attention_mask, *args, **kwargs)
    recorder = _RECORDER.get()
    if recorder is None:
        return output, weights
    name = recorder.names.get(id(module))
    if name is None:  # a module of some other model, run within this one
        return output, weights
    if recorder.probe is not None:
        if len(recorder.reports) == recorder.probe:
            torch.set_grad_enabled(True)  # until the end of the caller's no_grad block
            output = recorder.probed = output.detach().requires_grad_(True)
    elif weights.ndim != 4 or weights.shape[0] != 1:
        raise CaptureError(
            f"The attention of {name} has shape {list(weights.shape)}, expected [1, heads, queries, keys]: "
            "attention in windows or blocks is not a stack over one sequence."
        )
    recorder.see(Sight(name, weights[0], module, value, output, weights))
    return output, None


@contextlib.contextmanager
def _listening(recorder: Recorder) -> Iterator[None]:
    from transformers.modeling_utils import AttentionInterface

    mapping = AttentionInterface._global_mapping
    found = mapping.get("eager")
    AttentionInterface.register("eager", _observed)
    token = _RECORDER.set(recorder)
    try:
        yield
    finally:
        _RECORDER.reset(token)
        if found is None:
            mapping.pop("eager", None)
        else:
            mapping["eager"] = found


def run_listening(model: torch.nn.Module, tensors: dict[str, Any], recorder: Recorder) -> Any:
    """Runs the model once with eager attention while `recorder` listens. Call inside `as_found`.

    Returns:
        The model's outputs; `recorder.reports` is empty if the family is off the interface.
    """
    switch_to_eager(model)
    with recorder.within(tensors, "interface"), _listening(recorder):
        try:
            return forward(model, tensors)
        except OffInterfaceError:
            recorder.reports.clear()
            return None


def run_eager(
    model: torch.nn.Module, tensors: dict[str, Any], recorder: Recorder, names: tuple[str, ...]
) -> Any:
    """Runs the model once with `output_attentions=True` and reports each of the outputs called `names`.

    Returns:
        The model's outputs.

    Raises:
        CaptureError: the model returns no attention, or not in the form `[1, heads, queries, keys]`.
    """
    cls = type(model).__name__
    if "output_attentions" not in accepted(model)[0] and not accepted(model)[1]:
        raise CaptureError(
            f"{cls} has no attention that can be captured: its forward takes no output_attentions."
        )
    switch_to_eager(model)
    with recorder.within(tensors, "eager"):
        outputs = forward(model, {**tensors, "output_attentions": True})
        _report(model, outputs, recorder, names)
    return outputs


def _report(model: torch.nn.Module, outputs: Any, recorder: Recorder, names: tuple[str, ...]) -> None:
    cls = type(model).__name__
    for name in names:
        layers = getattr(outputs, name, None)
        if not isinstance(layers, (tuple, list)) or not layers or any(layer is None for layer in layers):
            raise CaptureError(
                f"{cls} returned no {name.replace('_', ' ')}: it has no attention layers, or was loaded "
                "with an "
                "attention implementation that keeps no weights; if so, load it with "
                "attn_implementation='eager'."
            )
        for number, layer in enumerate(layers):
            shape = list(getattr(layer, "shape", ()))
            if len(shape) != 4 or shape[0] != 1:
                raise CaptureError(
                    f"{cls}: {name}[{number}] has shape {shape or type(layer).__name__}, expected [1, "
                    "heads, queries, keys]: banded, pooled or hashed attention cannot be read as a stack."
                )
            recorder.see(Sight(f"{name}.{number}", layer[0], batch=layer))


def accepted(model: torch.nn.Module) -> tuple[set[str], bool]:
    """Names of the arguments that the model's forward takes, and whether it takes any others."""
    parameters = inspect.signature(model.forward).parameters.values()
    return {p.name for p in parameters}, any(p.kind is p.VAR_KEYWORD for p in parameters)


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
