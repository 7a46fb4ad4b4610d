"""Whether plain attention is all the attention that a model can come to, told by its code before it runs.

To watch every function of torch that a pass calls takes a good part of the pass where inputs are short. A model in
whose code nothing makes the rows of a softmax, plain attention aside, need not be watched. What code a pass may run is
told by names: those that a function uses are taken for methods of that name of any of the model's modules, and for
functions of that name where it stands. More is followed than will run. Families of transformers are read so, as they
are; any other code counts as able to do anything.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch

from attnflow.capture.plain import is_plain

_ATTEND = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward"})
#: What does as it is called, and losses, which come after all attention.
_NOT_FOLLOWED = ("torch.", "transformers.loss.")
#: Where modules are defined whose code is read.
_READ = ("transformers.", "torch.nn.modules.")
#: Asks for the function that computes attention, and names the family's own.
_ASKS = "get_interface"


def only_plain(model: torch.nn.Module) -> bool:
    """Whether nothing in a model but plain attention can make rows of a softmax.

    Args:
        model: as it is about to run; one with hooks, or with a `forward` of its own, is not read.
    """
    classes = set()
    for module in model.modules():
        own = vars(module)
        if "forward" in own or own["_forward_hooks"] or own["_forward_pre_hooks"]:
            return False
        classes.add(type(module))
    return _only_plain(frozenset(classes))


@functools.lru_cache(1 << 8)
def _only_plain(classes: frozenset[type]) -> bool:
    methods: dict[str, list[Any]] = {}
    for cls in {base for each in classes for base in each.__mro__} - {torch.nn.Module, object}:
        if issubclass(cls, torch.nn.Module) and not cls.__module__.startswith(_READ):
            return False
        for name, value in vars(cls).items():
            methods.setdefault(name, []).append(value)
    ahead = [value for name in ("__init__", "forward") for value in methods.get(name, ())]
    seen: set[FunctionType] = set()
    while ahead:
        function = _function(ahead.pop())
        if function is None or function in seen or function.__module__.startswith(_NOT_FOLLOWED):
            continue
        seen.add(function)
        names = set(_names(function.__code__))
        if any("softmax" in name.lower() for name in names) or names & _ATTEND:
            return False
        for value in _globals(function, names):
            if not is_plain(value):
                ahead.append(value)
            elif _ASKS not in names:  # called by its name
                return False
        ahead += (value for name in names for value in methods.get(name, ()))
        ahead += _enclosed(function)
    return True


def _function(value: Any) -> FunctionType | None:
    """The function that is run where a value of a class is called or read, if there is one."""
    for inner in ("fget", "func", "__func__"):  # of properties, cached ones, methods of the class
        value = getattr(value, inner, value)
    return value if isinstance(value, FunctionType) else None


def _names(code: CodeType) -> Iterator[str]:
    """Every name that a piece of code uses, inner functions included."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _enclosed(function: FunctionType) -> Iterator[Any]:
    """What a function holds of those around it, such as the one that it wraps."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # nothing yet
            yield cell.cell_contents


def _globals(function: FunctionType, names: set[str]) -> Iterator[Any]:
    """What these names stand for where a function stands; of modules and tables, what is in them."""
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and not value.__name__.startswith("torch"):
            yield from (vars(value).get(other) for other in names)
        elif isinstance(value, dict):
            yield from value.values()
        else:
            yield value
