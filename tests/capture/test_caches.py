"""Caches as TransformerLens fills them, and mappings with the same names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnflow import capture, explain
from attnflow.errors import InputError, OptionError


def weights(queries: int, keys: int, causal: bool, seed: int) -> torch.Tensor:
    scores = torch.randn(1, 3, queries, keys, generator=torch.Generator().manual_seed(seed))
    if causal:
        scores = scores.masked_fill(torch.ones(queries, keys).triu(1).bool(), -torch.inf)
    return scores.softmax(-1)


class ActivationCache:
    """As TransformerLens has it: items by name, and the dictionary itself as `cache_dict`."""

    def __init__(self, items: dict[str, torch.Tensor]) -> None:
        self.cache_dict = items


@pytest.mark.parametrize("kind", [dict, ActivationCache])
@pytest.mark.parametrize("causal", [True, False])
def test_one_stack(kind, causal):
    layers = [weights(4, 4, causal, seed) for seed in range(11)]
    items = {f"blocks.{index}.attn.hook_pattern": layer for index, layer in enumerate(layers)}
    cache = kind({"hook_embed": torch.zeros(1, 4, 8), **dict(reversed(items.items()))})
    trace = capture(cache, inputs={"tokens": ["a", "b", "c", "d"]})
    assert trace.architecture == ("decoder" if causal else "encoder")
    record = trace.records["attention"]
    for found, layer in zip(record.decoder or record.encoder, layers, strict=True):
        np.testing.assert_allclose(found, layer[0].mean(0), atol=1e-6)
    result = explain(cache, inputs={"tokens": ["a", "b", "c", "d"]})
    assert [player.label for player in result.players] == ["a", "b", "c", "d"]
    assert result.total[0] == pytest.approx(1)
    some = capture(cache, heads=[0, 2]).records["attention"]
    np.testing.assert_allclose((some.decoder or some.encoder)[3], layers[3][0, [0, 2]].mean(0), atol=1e-6)


def test_two_stacks():
    items = {}
    for index in range(2):
        items[f"encoder.{index}.attn.hook_pattern"] = weights(5, 5, False, index)
        items[f"decoder.{index}.attn.hook_pattern"] = weights(3, 3, True, 10 + index)
        items[f"decoder.{index}.cross_attn.hook_pattern"] = weights(3, 5, False, 20 + index)
    trace = capture(items)
    assert trace.architecture == "encoder-decoder"
    np.testing.assert_allclose(
        trace.records["attention"].cross[1], items["decoder.1.cross_attn.hook_pattern"][0].mean(0), atol=1e-6
    )


def test_what_a_cache_cannot_give_is_refused():
    cache = {"blocks.0.attn.hook_pattern": weights(3, 3, True, 0)}
    with pytest.raises(OptionError, match="'relevance' needs the model"):
        capture(cache, record="relevance")
    with pytest.raises(OptionError, match="text does not go with a cache"):
        capture(cache, "a text")
    with pytest.raises(OptionError, match="generate does not go with a cache"):
        capture(cache, generate=2)
    with pytest.raises(InputError, match=r"holds no attention.*names_filter"):
        capture({"blocks.0.hook_resid_post": torch.zeros(1, 3, 4)})
    with pytest.raises(InputError, match="not of layer 1"):
        capture({**cache, "blocks.2.attn.hook_pattern": weights(3, 3, True, 1)})
    with pytest.raises(InputError, match="one example"):
        capture({"blocks.0.attn.hook_pattern": torch.cat([cache["blocks.0.attn.hook_pattern"]] * 2)})
