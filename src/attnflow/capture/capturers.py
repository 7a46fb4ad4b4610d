"""Who captures what: one capturer for each kind of thing that attention can be read from.

`find` asks them in order. A capturer is two places, `module:function`, imported when they are needed: `takes` says
whether an object is its own, `captures` turns it and an input into traces. `register` puts another one in front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from attnflow.errors import CaptureError
from attnflow.trace import Trace


@dataclass(frozen=True)
class Capturer:
    """One kind of model, or of what is left of a pass.

    Attributes:
        name: what errors call it.
        takes: place of a function from the object handed in as `model` to whether it is of this kind.
        captures: place of a function like `attnflow.capture.capture_targets`, options all by keyword.
        each: place of one like `attnflow.capture.batches.captures_each`, that runs several inputs at once; "" where
            they are run one by one.
    """

    name: str
    takes: str
    captures: str
    each: str = ""


#: In the order in which they are asked.
CAPTURERS: list[Capturer] = [
    Capturer(
        "a cache of activations", "attnflow.capture.caches:is_cache", "attnflow.capture.caches:captures"
    ),
    Capturer(
        "a model of your own", "attnflow.capture.custom:is_registered", "attnflow.capture.pytorch:captures"
    ),
    Capturer(
        "a transformers model",
        "attnflow.capture.loading:is_loadable",
        "attnflow.capture.huggingface:captures",
        "attnflow.capture.batches:captures_each",
    ),
    Capturer("a PyTorch model", "attnflow.capture.pytorch:is_module", "attnflow.capture.pytorch:captures"),
]


def register(capturer: Capturer) -> Capturer:
    """Puts a capturer in front of those there are."""
    CAPTURERS.insert(0, capturer)
    return capturer


def find(model: Any) -> Callable[..., list[Trace]]:
    """Finds the function that captures from this object.

    Raises:
        CaptureError: nothing can.
    """
    return _function(_of(model).captures)


def find_each(model: Any) -> Callable[..., Iterator[tuple[int, list[Trace]]]] | None:
    """Finds the function that captures several inputs at once; None if they are captured one by one.

    Raises:
        CaptureError: nothing can capture from this object.
    """
    place = _of(model).each
    return _function(place) if place else None


def _of(model: Any) -> Capturer:
    for capturer in CAPTURERS:
        if _function(capturer.takes)(model):
            return capturer
    what = hint(model)
    if what is not None:
        raise CaptureError(
            f"Found {what} as model: expected the model itself, or the directory that holds it."
        )
    kinds = ", ".join(capturer.name for capturer in CAPTURERS)
    raise CaptureError(
        f"Found {type(model).__name__} as model; expected {kinds}, a directory, a bundled name or a hub id. For "
        "attention you already have as arrays there is Trace.from_arrays."
    )


def hint(model: Any) -> str | None:
    """What something is that was taken for a model, with the way to the model; None if that is not known."""
    name = type(model).__name__
    if isinstance(model, type):
        return f"the class {model.__name__} (load one: {model.__name__}.from_pretrained(...))"
    if isinstance(model, Mapping) and model and all(hasattr(part, "shape") for part in model.values()):
        return f"weights without a model, {name} (load them into the model's class)"
    if hasattr(model, "model") and hasattr(model, "tokenizer") and callable(model):
        return f"{name}, a pipeline (pass its .model, and tokenizer=its .tokenizer)"
    if hasattr(model, "from_pretrained") and not hasattr(model, "forward"):
        return f"{name}, which is no model (a tokenizer and a processor go into tokenizer= and processor=)"
    return None


def _function(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
