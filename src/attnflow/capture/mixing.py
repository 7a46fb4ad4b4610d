"""Seeing attention as what it is: rows of a softmax that mix values.

While a pass runs, every softmax over the last axis is followed through casts, masks, dropout and reshaping to the
product that mixes values by it. That product is the attention, whichever class or function computes it, and its
operand is the very tensor that the output depends on, so it has gradients. Which layer it belongs to is the module
that is running. Attention that torch computes in one piece is computed here in its parts.

Nothing is changed on the way: every operation of the model runs as it is, or as `attnflow.capture.plain` has it, with
the same numbers.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function
from torch.utils.weak import WeakIdKeyDictionary

Arrange = Callable[[torch.Tensor], torch.Tensor]

_MULTI_HEAD = inspect.signature(torch.nn.functional.multi_head_attention_forward)

_PRODUCTS = frozenset({"matmul", "__matmul__", "bmm", "baddbmm", "einsum"})
_SOFTMAX = frozenset({"softmax", "_safe_softmax"})
_IN_ONE_PIECE = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward", "attend"})
#: What is looked at though no tensor of rows goes in.
_LOOKED_AT = _SOFTMAX | _IN_ONE_PIECE
#: What keeps rows of weights what they are, though not their size.
_SLICES = frozenset({"__getitem__", "narrow", "split", "chunk", "slice"})


@dataclass(frozen=True)
class Mixture:
    """One product of weights with values.

    Attributes:
        weights: the tensor that multiplies, as it stands in the graph.
        arrange: from a tensor of its shape, such as its gradient, to `[..., queries, keys]`.
        value: `[..., keys, width]`, or None if it is not plain.
        output: `[..., queries, width]`.
        restore: from a tensor like `output` to the shape that the model goes on with.
        projection: `[heads * width, model width]` where the same function projects the output, else None.
        crossing: whether queries and keys are two sequences, where the function that ran says so, else None.
    """

    weights: torch.Tensor
    arrange: Arrange
    value: torch.Tensor
    output: torch.Tensor
    restore: Arrange
    projection: torch.Tensor | None = None
    crossing: bool | None = None


class Scratch:
    """Memory on the CPU that is handed out again once nobody holds the tensor that it was.

    Memory that is new has to be cleared by the system first, which takes as long as to compute what it is for.
    """

    def __init__(self) -> None:
        self._memory: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._taken: weakref.ReferenceType[Any] | None = None

    def take(self, shape: tuple[int, ...]) -> torch.Tensor:
        """A float32 tensor of any content; of memory of its own while the last one is in use."""
        if self._taken is not None and self._taken() is not None:
            return torch.empty(shape, dtype=torch.float32, device="cpu")
        size = math.prod(shape)
        if self._memory.size < size:
            self._memory = np.empty(size, dtype=np.float32)
        part = self._memory[:size].reshape(shape)
        self._taken = weakref.ref(part)  # the tensor, and whatever views it, keeps this array
        return torch.from_numpy(part)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    scratch: Scratch | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention and its weights: `weights = softmax(query @ key.T * scale + mask)`, `output = weights @ value`.

    Numbers are those of the same operations one by one. Without gradients each is written over the one before.

    Args:
        query: `[batch, heads, queries, width]`, float32.
        key: `[batch, heads, keys, width]`, float32.
        value: `[batch, heads, keys, width]`, float32.
        mask: added to the scores, of a shape that broadcasts to theirs; None for none.
        scale: of the scores.
        scratch: where weights may stand.

    Returns:
        `[batch, heads, queries, width]` and `[batch, heads, queries, keys]`.
    """
    if has_torch_function((query, key, value)):
        found: tuple[torch.Tensor, torch.Tensor] = handle_torch_function(
            attend, (query, key, value), query, key, value, mask, scale, scratch
        )
        return found
    given = (query, key, value) if mask is None else (query, key, value, mask)
    if torch.is_grad_enabled() and any(part.requires_grad for part in given):
        scores = query @ key.transpose(-1, -2) * scale
        weights = (scores if mask is None else scores + mask).softmax(-1)
        return weights @ value, weights
    shape = (*query.shape[:-1], key.shape[-2])
    on_cpu = query.device.type == "cpu"
    room = scratch.take(shape) if on_cpu and scratch is not None else query.new_empty(shape)
    torch.bmm(query.flatten(0, 1), key.transpose(-1, -2).flatten(0, 1), out=room.flatten(0, 1))
    room *= scale
    if mask is not None:
        room += mask
    weights = torch.softmax(room, -1, out=room if on_cpu else None)
    return weights @ value, weights


#: Told every product and the name of the module that computes it; may return another output.
Found = Callable[[str, Mixture], torch.Tensor | None]


class Mixing(TorchFunctionMode):  # type: ignore[misc]
    """Follows softmax rows to the products that mix values by them.

    Args:
        found: told every product and the name of the module that computes it; may return another output.
        model: whose modules are running.
    """

    def __init__(self, model: torch.nn.Module, found: Found) -> None:
        super().__init__()
        self.model = model
        self.found = found
        #: By tensor the number of the softmax that its rows come from.
        self._rows: Any = WeakIdKeyDictionary()
        self._sizes: set[int] = set()  # of the tensors in `_rows`: most others are told by it
        self._running: list[str] = []
        self._made = 0
        #: By the number of a softmax that has mixed nothing yet, the module that computed it and its shape.
        self.unmixed: dict[int, tuple[str, tuple[int, ...]]] = {}
        self._names: dict[int, str] = {}
        self._named: dict[Any, str] = {}  # functions of torch
        self._thread = 0
        self._scratch = Scratch()

    def hears(self) -> bool:
        """Whether one of the model's modules is running, in this thread."""
        return bool(self._running) and threading.get_ident() == self._thread

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Within this block the model is listened to, as far as it runs in this thread."""
        self._names = {id(module): name for name, module in self.model.named_modules()}
        self._thread = threading.get_ident()
        fused = torch.backends.mha.get_fastpath_enabled()
        with contextlib.ExitStack() as stack:
            stack.callback(torch.backends.mha.set_fastpath_enabled, fused)
            torch.backends.mha.set_fastpath_enabled(False)  # layers of torch.nn in one piece
            stack.callback(register_module_forward_pre_hook(self._enter).remove)
            stack.callback(register_module_forward_hook(self._leave, always_call=True).remove)
            stack.enter_context(self)
            yield

    def _enter(self, module: torch.nn.Module, args: Any) -> None:
        name = self._names.get(id(module))
        if name is not None and threading.get_ident() == self._thread:
            self._running.append(name)

    def _leave(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        if self._running and id(module) in self._names and threading.get_ident() == self._thread:
            self._running.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one function of torch, and looks at what it takes and gives."""
        kwargs = kwargs or {}
        if not self._running:
            return func(*args, **kwargs)
        name = self._named.get(func)
        if name is None:
            name = self._named[func] = getattr(func, "__name__", "")
        if name not in _LOOKED_AT and not self._sizes:
            return func(*args, **kwargs)
        if func is attend:
            return self._whole(*args[:5])
        if name == "scaled_dot_product_attention":
            return self._in_parts(*args, **kwargs)
        if name == "multi_head_attention_forward":
            return self._multi_head(*args, **kwargs)
        out = func(*args, **kwargs)
        if name in _PRODUCTS:
            mixture = self._mixture(name, args, kwargs, out)
            if mixture is None:
                return out
            self.unmixed.pop(self._rows[mixture.weights], None)
            other = self.found(self._running[-1], mixture)
            return out if other is None else mixture.restore(other)
        if name in _SOFTMAX:
            if torch.is_tensor(out) and out.ndim >= 3 and _over_last(args, kwargs, out.ndim):
                self._note(out)
        elif name in _SLICES or isinstance(out, torch.Tensor):
            self._follow(name, args, kwargs, out)
        return out

    def _note(self, rows: torch.Tensor) -> None:
        self._made += 1
        self._add(rows, self._made)
        if self._running:
            self.unmixed[self._made] = (self._running[-1], tuple(rows.shape))

    def _follow(self, name: str, args: Any, kwargs: Any, out: Any) -> None:
        sizes, rows = self._sizes, self._rows
        sources = [
            item
            for item in ((*args, *kwargs.values()) if kwargs else args)
            if isinstance(item, torch.Tensor) and item.numel() in sizes and item in rows
        ]
        if not sources:
            return
        size = max(source.numel() for source in sources)
        made = self._rows[sources[0]]
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if not torch.is_tensor(tensor) or tensor.ndim < 3 or not tensor.is_floating_point():
                continue
            if tensor.numel() == size or name in _SLICES:
                self._add(tensor, made)

    def _add(self, tensor: torch.Tensor, made: int) -> None:
        self._rows[tensor] = made
        self._sizes.add(tensor.numel())

    def _mixture(self, name: str, args: Any, kwargs: Any, out: torch.Tensor) -> Mixture | None:
        if name == "einsum":
            operands = args[1] if len(args) == 2 and isinstance(args[1], (tuple, list)) else args[1:]
            if len(operands) != 2 or not isinstance(args[0], str):
                return None
            return self._contraction(args[0], operands, out)
        first, second = args[-2:] if len(args) > 1 else (args[0], kwargs.get("other", kwargs.get("mat2")))
        if not (torch.is_tensor(first) and torch.is_tensor(second)) or min(first.ndim, second.ndim) < 3:
            return None
        if first in self._rows:
            return Mixture(first, _same, second, out, _same)
        if second in self._rows:
            return Mixture(second, _turned, _turned(first), _turned(out), _turned)
        return None

    def _contraction(self, equation: str, operands: Any, out: torch.Tensor) -> Mixture | None:
        """Reads an Einstein sum of two operands: which axes are queries, keys and width."""
        equation = equation.replace(" ", "")
        if "->" not in equation or "." in equation:
            return None
        terms, result = equation.split("->")
        names = terms.split(",")
        which = next((index for index in (0, 1) if operands[index] in self._rows), None)
        if which is None:
            return None
        weights, value = operands[which], operands[1 - which]
        own, other = names[which], names[1 - which]
        keys = [axis for axis in own if axis in other and axis not in result]
        queries = [axis for axis in own if axis not in other and axis in result]
        width = [axis for axis in other if axis not in own and axis in result]
        heads = [axis for axis in own if axis in other and axis in result]
        if len(keys) != 1 or len(queries) != 1 or len(width) != 1 or len(set(own)) != len(own):
            return None
        front = "".join(heads)
        return Mixture(
            weights,
            partial(_permuted, own, f"{front}{queries[0]}{keys[0]}"),
            _permuted(other, f"{front}{keys[0]}{width[0]}", value),
            _permuted(result, f"{front}{queries[0]}{width[0]}", out),
            partial(_permuted, f"{front}{queries[0]}{width[0]}", result),
        )

    def _whole(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention that `attend` computes."""
        output, weights = attend(query, key, value, mask, scale, self._scratch)
        other = self.found(self._running[-1], Mixture(weights, _same, value, output, _same))
        return output if other is None else other, weights

    def _in_parts(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
        *,
        projection: torch.Tensor | None = None,
        crossing: bool | None = None,
    ) -> torch.Tensor:
        """Scaled dot-product attention with its weights, as torch documents it."""
        if enable_gqa:
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
            value = value.repeat_interleave(query.shape[-3] // value.shape[-3], dim=-3)
        scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if is_causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        masked = (scores == -math.inf).all(-1, keepdim=True)  # rows that read nothing, and have no gradient
        weights = scores.masked_fill(masked, 0.0).softmax(-1).masked_fill(masked, 0.0)
        output = weights @ value
        if weights.ndim < 3:
            return output
        mixture = Mixture(weights, _same, value, output, _same, projection, crossing)
        other = self.found(self._running[-1], mixture)
        return output if other is None else other

    def _multi_head(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What `torch.nn.MultiheadAttention` computes: its own function, with the attention inside in parts."""
        bound = _MULTI_HEAD.bind(*args, **kwargs)
        bound.apply_defaults()
        asked = bound.arguments
        wanted, query, key = asked["need_weights"], asked["query"], asked["key"]
        crossing = query is not key and (query.shape != key.shape or not torch.equal(query, key))
        if wanted:
            asked["is_causal"] = False  # a hint, which the function ignores where it returns weights
        asked["need_weights"] = False
        seen: list[torch.Tensor] = []

        def attend(*args: Any, **kwargs: Any) -> torch.Tensor:
            found, self.found = self.found, lambda name, mixture: _noted(found, name, mixture, seen)
            try:
                return self._in_parts(
                    *args, projection=asked["out_proj_weight"].detach().T, crossing=crossing, **kwargs
                )
            finally:
                self.found = found

        with patch.object(torch.nn.functional, "scaled_dot_product_attention", attend):
            output, _ = torch.nn.functional.multi_head_attention_forward(*bound.args, **bound.kwargs)
        if not wanted:
            return output, None
        weights = seen[0].mean(1) if asked["average_attn_weights"] else seen[0]
        return output, weights if query.ndim == 3 else weights[0]


def _noted(found: Found, name: str, mixture: Mixture, seen: list[torch.Tensor]) -> torch.Tensor | None:
    seen.append(mixture.weights)
    return found(name, mixture)


def _over_last(args: Any, kwargs: Any, ndim: int) -> bool:
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return isinstance(dim, int) and dim % ndim == ndim - 1


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _turned(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.transpose(-1, -2)


def _permuted(found: str, wanted: str, tensor: torch.Tensor) -> torch.Tensor:
    """Brings axes named one letter each into another order; axes of size 1 that only one side names come or go."""
    return tensor.permute([found.index(axis) for axis in wanted])
