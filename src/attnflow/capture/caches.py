"""Attention from a cache of activations that TransformerLens filled.

Its names are those of its hooks: `blocks.0.attn.hook_pattern` in a model with one stack, and
`encoder.0.attn.hook_pattern`, `decoder.0.attn.hook_pattern`, `decoder.0.cross_attn.hook_pattern` in one with two. Any
mapping with such names will do, tensors or arrays `[heads, queries, keys]` with or without a batch axis of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import CaptureError, InputError, OptionError
from attnflow.trace import Trace, max_over_heads

_PATTERN = re.compile(r"^(blocks|encoder|decoder)\.(\d+)\.(attn|cross_attn)\.hook_pattern$")


def is_cache(model: Any) -> bool:
    """Whether this is a cache, or a mapping with the names of one."""
    names = getattr(model, "cache_dict", model)
    return isinstance(names, Mapping) and any(".hook_" in str(name) for name in names)


def captures(
    model: Any,
    text: Any = None,
    *,
    inputs: Any = None,
    tokenizer: Any = None,
    heads: str | Sequence[int] = "mean",
    record: str | Sequence[str] = "attention",
    **options: Any,
) -> list[Trace]:
    """Reads a cache.

    Args:
        model: the cache.
        text: nothing: the pass is over.
        inputs: `{"tokens": [...]}` names the positions, of an encoder-decoder also `{"decoder_tokens": [...]}`.
        tokenizer: nothing.
        heads: as in `capture`.
        record: "attention"; a cache holds no gradients.
        options: none of the others goes with a cache.

    Raises:
        InputError: no patterns, layers missing, more than one example, names that do not fit.
        OptionError: options that need a model.
    """
    names = (record,) if isinstance(record, str) else tuple(record)
    beyond = [name for name in names if name != "attention"]
    if beyond:
        raise OptionError(
            f"record={beyond[0]!r} needs the model, and this is a cache of what it computed: pass the model, or use "
            "attention capacities."
        )
    defaults = {"steps": 1, "seed": 0}
    refused = [
        name
        for name, value in options.items()
        if value not in (None, False, defaults.get(name, 0)) and name != "progress"
    ]
    if text is not None or refused:
        raise OptionError(
            f"{'text' if text is not None else refused[0]} does not go with a cache, whose pass is over; name its "
            'positions with inputs={"tokens": [...]}.'
        )
    given = dict(inputs or {})
    tokens, decoder_tokens = given.pop("tokens", None), given.pop("decoder_tokens", None)
    if given:
        raise OptionError(f"inputs: a cache takes 'tokens' and 'decoder_tokens', found {', '.join(given)}.")
    stacks = _stacks(getattr(model, "cache_dict", model))
    arrays = {name: [_reduced(layer, heads) for layer in layers] for name, layers in stacks.items()}
    reduced = heads if isinstance(heads, str) else "mean"
    provenance = {
        "source": "transformer_lens",
        "options": {"heads": heads if isinstance(heads, str) else list(heads)},
    }
    if "cross" in arrays:
        trace = Trace.from_arrays(
            arrays["encoder"],
            arrays["decoder"],
            arrays["cross"],
            tokens=tokens,
            decoder_tokens=decoder_tokens,
            heads=reduced,
            provenance=provenance,
        )
        return [trace]
    (layers,) = arrays.values()
    size = layers[0].shape[-1]
    above = np.triu_indices(size, k=1)
    causal = size > 1 and not any(np.any(layer[..., above[0], above[1]]) for layer in layers)
    encoder, decoder = (None, layers) if causal else (layers, None)
    return [Trace.from_arrays(encoder, decoder, tokens=tokens, heads=reduced, provenance=provenance)]


def _stacks(cache: Mapping[Any, Any]) -> dict[str, list[NDArray[Any]]]:
    """The layers of each stack, in order."""
    found: dict[str, dict[int, Any]] = {}
    for name, value in cache.items():
        match = _PATTERN.match(str(name))
        if match is not None:
            stack = "cross" if match[3] == "cross_attn" else match[1]
            found.setdefault(stack, {})[int(match[2])] = _array(str(name), value)
    if not found:
        raise InputError(
            "This cache holds no attention: expected names such as 'blocks.0.attn.hook_pattern'; run the model "
            "with run_with_cache and let names_filter keep them."
        )
    for stack, layers in found.items():
        missing = sorted(set(range(max(layers) + 1)) - set(layers))
        if missing:
            raise InputError(
                f"This cache holds the attention of {len(layers)} layers of {stack}, but not of layer {missing[0]}: "
                "expected every layer."
            )
    if ("cross" in found) != ("encoder" in found) or ("cross" in found) != ("decoder" in found):
        raise CaptureError(
            f"This cache holds {', '.join(sorted(found))}; expected blocks alone, or all of encoder, decoder and cross."
        )
    return {stack: [layers[index] for index in sorted(layers)] for stack, layers in found.items()}


def _array(name: str, value: Any) -> NDArray[Any]:
    """One layer, `[heads, queries, keys]`."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) in ("torch.bfloat16", "torch.float16") else value
    array = np.asarray(value)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3:
        raise InputError(
            f"{name} has shape {list(array.shape)}, expected [heads, queries, keys] or [1, heads, queries, keys]: one "
            "example."
        )
    return array


def _reduced(layer: NDArray[Any], heads: str | Sequence[int]) -> NDArray[Any]:
    if isinstance(heads, str):
        if heads == "max":
            return max_over_heads(layer)
        return layer if heads == "all" else np.asarray(layer.mean(0, dtype=np.float64).astype(layer.dtype))
    beyond = [head for head in heads if not 0 <= head < layer.shape[0]]
    if beyond:
        raise OptionError(f"heads={list(heads)}: found {layer.shape[0]} heads, expected indices below.")
    return np.asarray(layer[list(heads)].mean(0))
