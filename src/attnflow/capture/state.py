"""Leaving a model exactly as it was found."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch

#: Modules whose state is being kept, by id; guarded by the lock that every capture takes.
_KEPT: set[int] = set()
_NOTHING: dict[Any, Any] = {}


@contextlib.contextmanager
def as_found(model: torch.nn.Module) -> Iterator[None]:
    """Puts the model in eval mode without gradients, and everything back at the end, also on error.

    Restored are the attributes of every module (train or eval mode, hooks, submodules that some families
    replace as they run), of every configuration that one of them reads, attention implementation included, and
    the random state of torch. Weights and gradients are never written to. Within a block for the same model, or for
    one that holds it, nothing is done: the outer block puts everything back.
    """
    if id(model) in _KEPT:
        yield
        return
    modules = list(model.modules())
    generation = getattr(model, "generation_config", None)
    owners = [*modules, *configs(model), *([] if generation is None else [generation])]
    found = [_contents(owner) for owner in owners]
    weights = (weight for module in modules for weight in module._parameters.values() if weight is not None)
    devices = sorted({weight.device.index or 0 for weight in weights if weight.is_cuda})
    kept = {id(module) for module in modules}
    _KEPT.update(kept)
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            if any(module.training for module in modules):
                model.eval()
            yield
    finally:
        _KEPT.difference_update(kept)
        for attributes, values, dictionaries in found:
            attributes.clear()
            attributes.update(values)
            for dictionary, items in dictionaries:
                if items or dictionary:
                    dictionary.clear()
                    dictionary.update(items)


def _contents(
    owner: Any,
) -> tuple[dict[str, Any], dict[str, Any], list[tuple[dict[Any, Any], dict[Any, Any]]]]:
    """An object's attributes, and the items of those that are dictionaries: hooks are handed out by reference."""
    attributes = vars(owner)
    values = dict(attributes)
    dictionaries = [value for value in values.values() if isinstance(value, dict)]
    return attributes, values, [(value, dict(value) if value else _NOTHING) for value in dictionaries]


def attribute(module: torch.nn.Module, name: str) -> Any:
    """An attribute of a module itself or its class, or None: what `getattr` finds, less what it costs to miss."""
    return getattr(module, name, None) if name in vars(module) or hasattr(type(module), name) else None


def configs(model: torch.nn.Module) -> list[Any]:
    """Every configuration object that some module of the model reads, each once."""
    found: dict[int, Any] = {}

    def visit(config: Any) -> None:
        if id(config) in found or not hasattr(config, "_attn_implementation_internal"):
            return
        found[id(config)] = config
        for name in getattr(config, "sub_configs", None) or ():
            visit(getattr(config, name, None))

    for module in model.modules():
        visit(attribute(module, "config"))
    return list(found.values())


def switch_to_eager(model: torch.nn.Module) -> None:
    """Makes every module compute eager attention; to be undone by `as_found`."""
    for config in configs(model):
        vars(config)["_attn_implementation_internal"] = "eager"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences the progress bars and advice that transformers prints, within this block only."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(transformers|torch|huggingface_hub)(\.|$)")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
