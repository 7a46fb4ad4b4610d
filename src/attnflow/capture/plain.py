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
from types import FunctionType
from typing import Any
from unittest.mock import patch

import torch
from transformers.modeling_utils import AttentionInterface

from attnflow.capture.mixing import Mixing

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
    """Whether a function consists of the lines of plain attention."""
    if not isinstance(function, FunctionType) or function.__closure__ is not None:
        return False
    return function.__code__.co_varnames[: len(_PARAMETERS)] == _PARAMETERS and _is_written_so(function)


@functools.cache
def _is_written_so(function: FunctionType) -> bool:
    try:
        (found,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
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


def in_one_step(function: Any, mixing: Mixing) -> Callable[..., Any]:
    """A family's function of plain attention, heard, and computed in one step where that gives the same."""
    repeat = function.__globals__.get("repeat_kv") if "repeat_kv" in function.__code__.co_names else None

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
            return heard(function, mixing)(
                module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
            )
        if repeat is not None:
            key, value = (repeat(part, module.num_key_value_groups) for part in (key, value))
        output, weights = mixing.attend(module, query, key, value, attention_mask, scale)
        return output.transpose(1, 2).contiguous(), weights

    return attend


def heard(function: Callable[..., Any], mixing: Mixing) -> Callable[..., Any]:
    """A family's function of attention as it is, heard."""

    def attend(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        with mixing.close_to(module):
            return function(module, *args, **kwargs)

    return attend


def _fits(query: Any, key: Any, value: Any, mask: Any, scale: Any) -> bool:
    """Whether these are of one precision, float32, and the mask adds to the scores without making more of them."""
    if not isinstance(scale, (int, float)):
        return False
    if not all(torch.is_tensor(part) and part.dtype == torch.float32 for part in (query, key, value)):
        return False
    if query.ndim != 4 or torch.is_autocast_enabled(query.device.type):
        return False
    if mask is None:
        return True
    if not torch.is_tensor(mask) or mask.dtype != torch.float32 or mask.ndim > 4:
        return False
    sizes = (*query.shape[:-1], key.shape[-2])
    return all(mine in (1, size) for mine, size in zip(reversed(mask.shape), reversed(sizes)))


@contextlib.contextmanager
def plainly(mixing: Mixing) -> Iterator[None]:
    """Within this block what is listened to hears each family's function of attention; plain ones run in one step."""
    original = getattr(AttentionInterface, "get_interface", None)
    if original is None:
        yield
        return

    @functools.cache
    def told(function: Callable[..., Any]) -> Callable[..., Any]:
        return in_one_step(function, mixing) if is_plain(function) else heard(function, mixing)

    def get_interface(self: Any, implementation: Any, default: Any) -> Any:
        found = original(self, implementation, default)
        return told(found) if mixing.hears() else found

    with patch.object(AttentionInterface, "get_interface", get_interface):
        yield
