"""Attention as most families of transformers write it, computed with fewer passes over memory.

Nearly every family has a function `eager_attention_forward` of its own, and nearly all of these are the same few lines.
Where a family's function consists of these lines and nothing else, a pass that is listened to computes it in one step:
`attnflow.capture.mixing` then sees attention in one piece. Any other function runs as it is, and so do these where
their lines say more than the step does: with dropout, or in another precision than float32.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import has_torch_function
from transformers.modeling_utils import AttentionInterface

from attnflow.capture.mixing import Mixing
from attnflow.capture.mixing import attend as one_step

#: What such a function may consist of, line by line; "" where a line may be missing.
_LINES = (
    ("", "if scaling is None: scaling = query.size(-1) ** -0.5"),
    ("", "key = key", "key = repeat_kv(key, module.num_key_value_groups)"),
    ("", "value = value", "value = repeat_kv(value, module.num_key_value_groups)"),
    (
        "attn_weights = torch.matmul(query, key.transpose(2, 3)) * scaling",
        "attn_weights = torch.matmul(query, key.transpose(-1, -2)) * scaling",
    ),
    ("if attention_mask is not None: attn_weights = attn_weights + attention_mask",),
    (
        "attn_weights = nn.functional.softmax(attn_weights, dim=-1)",
        "attn_weights = nn.functional.softmax(attn_weights, dim=-1, dtype=torch.float32).to(query.dtype)",
    ),
    ("attn_weights = nn.functional.dropout(attn_weights, p=dropout, training=module.training)",),
    ("attn_output = torch.matmul(attn_weights, value)",),
    ("attn_output = attn_output.transpose(1, 2).contiguous()",),
    ("return attn_output, attn_weights",),
)
_PARAMETERS = ("module", "query", "key", "value", "attention_mask", "scaling", "dropout", "kwargs")


def is_plain(function: Any) -> bool:
    """Whether a function is a family's own, and consists of the lines of plain attention."""
    if (
        not isinstance(function, FunctionType)
        or function.__closure__ is not None
        or hasattr(function, "__wrapped__")
    ):
        return False
    return function.__code__.co_varnames[: len(_PARAMETERS)] == _PARAMETERS and _is_written_so(function)


@functools.cache
def _is_written_so(function: FunctionType) -> bool:
    try:
        (found,) = ast.parse(textwrap.dedent(inspect.getsource(function.__code__))).body
    except (OSError, SyntaxError, TypeError, ValueError):  # no source
        return False
    names = function.__globals__
    if (names.get("torch"), names.get("nn")) != (torch, torch.nn):
        return False
    if not isinstance(found, ast.FunctionDef) or tuple(inspect.signature(function).parameters) != _PARAMETERS:
        return False
    written = [ast.unparse(line).replace("_states", "") for line in found.body]
    for choices in _LINES:
        known = [ast.unparse(ast.parse(choice)) for choice in choices]
        if written and written[0] in known:
            written.pop(0)
        elif "" not in choices:
            return False
    return not written


@functools.cache
def in_one_step(function: Any) -> Callable[..., Any]:
    """A family's function of plain attention, computed in one step where that gives the same."""
    repeats = "repeat_kv" in function.__code__.co_names

    def attend(
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> Any:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        if (module.training and dropout) or not _fits(query, key, value, attention_mask, scale):
            return function(
                module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
            )
        if repeats:
            repeat = function.__globals__["repeat_kv"]
            key, value = (repeat(part, module.num_key_value_groups) for part in (key, value))
        output, weights = one_step(query, key, value, attention_mask, scale)
        return output.transpose(1, 2).contiguous(), weights

    return attend


def _fits(query: Any, key: Any, value: Any, mask: Any, scale: Any) -> bool:
    """Whether these are of one precision, float32, and the mask adds to the scores without making more of them."""
    if not isinstance(scale, (int, float)):
        return False
    if not all(torch.is_tensor(part) and part.dtype == torch.float32 for part in (query, key, value)):
        return False
    if query.ndim != 4 or not query.shape[0] == key.shape[0] == value.shape[0]:
        return False
    if torch.is_autocast_enabled(query.device.type):
        return False
    if mask is None:
        return True
    if not torch.is_tensor(mask) or mask.dtype != torch.float32 or mask.ndim > 4:
        return False
    sizes = (*query.shape[:-1], key.shape[-2])
    return all(mine in (1, size) for mine, size in zip(reversed(mask.shape), reversed(sizes)))


def _as_written() -> bool:
    """Whether the functions that the lines call are torch's own, and nobody listens to them."""
    own = (torch.nn.functional.softmax, torch.nn.functional.dropout)
    if any(function.__code__.co_filename != torch.nn.functional.__file__ for function in own):
        return False
    return isinstance(torch.matmul, BuiltinFunctionType) and not has_torch_function((torch.empty(0),))


@contextlib.contextmanager
def plainly(mixing: Mixing) -> Iterator[None]:
    """Within this block, plain attention of what is listened to is computed in one step."""
    original = getattr(AttentionInterface, "get_interface", None)
    if original is None or not _as_written():
        yield
        return

    def get_interface(self: Any, implementation: Any, default: Any) -> Any:
        found = original(self, implementation, default)
        return in_one_step(found) if mixing.hears() and is_plain(found) else found

    with patch.object(AttentionInterface, "get_interface", get_interface):
        yield
