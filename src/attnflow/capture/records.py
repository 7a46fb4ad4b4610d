"""What is kept of every attention layer while the model runs.

A record is one function `keep(sight, heads)`, called once for every layer as it is computed, that returns
the matrix to keep: register it in `RECORDS` under the name that `capture(record=...)` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.errors import OptionError, unknown_name
from attnflow.trace import max_over_heads

HEADS = ("mean", "max", "all")


@dataclass(frozen=True)
class Heads:
    """How the heads of a layer become one matrix.

    Attributes:
        name: "mean", "max", "all", or a description of a subset; the trace carries it.
        subset: indices of the heads whose mean is kept, or None for all heads.
    """

    name: str
    subset: tuple[int, ...] | None = None

    def reduce(self, weights: torch.Tensor) -> NDArray[np.floating[Any]]:
        """Reduces one layer.

        Args:
            weights: `[heads, queries, keys]`, any floating dtype.

        Returns:
            `[queries, keys]`, or `[heads, queries, keys]` for "all"; float64 if the weights were, else
            float32.

        Raises:
            OptionError: a head of the subset does not exist.
        """
        weights = weights.detach()
        if weights.dtype != torch.float64:
            weights = weights.float()
        if self.subset is not None:
            beyond = [head for head in self.subset if head >= weights.shape[0]]
            if beyond:
                raise OptionError(
                    f"heads={list(self.subset)}: found a layer with {weights.shape[0]} heads; "
                    f"expected indices from 0 to {weights.shape[0] - 1}."
                )
            weights = weights[list(self.subset)]
        if self.name == "all":
            kept: NDArray[np.floating[Any]] = weights.cpu().numpy().copy()
            return kept
        if self.name == "max":
            return max_over_heads(weights.cpu().numpy())
        mean: NDArray[np.floating[Any]] = weights.mean(dim=0).cpu().numpy()
        return mean


def parse_heads(heads: str | Sequence[int]) -> Heads:
    """Reads the `heads` option.

    Raises:
        OptionError: neither a known name nor a list of distinct head indices.
    """
    if isinstance(heads, str):
        if heads not in HEADS:
            raise unknown_name("heads", heads, HEADS)
        return Heads(heads)
    try:
        subset = tuple(int(head) for head in heads)
        whole = all(int(head) == head for head in heads)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"heads={heads!r}: expected 'mean', 'max', 'all' or a list of head indices."
        ) from error
    if not subset or not whole or min(subset) < 0 or len(set(subset)) != len(subset):
        raise OptionError(f"heads={heads!r}: expected distinct head indices from 0 up.")
    return Heads(f"mean of {', '.join(map(str, subset))}", subset)


@dataclass(frozen=True)
class Sight:
    """One attention layer as the model computes it.

    Attributes:
        name: qualified name of the attention module, or of the output it came from.
        weights: `[heads, queries, keys]`, the weights after softmax.
        module: the attention module; None where only the weights are known (eager outputs).
        value: `[1, value heads, keys, width]`, the values that are mixed, or None.
    """

    name: str
    weights: torch.Tensor
    module: torch.nn.Module | None = None
    value: torch.Tensor | None = None


def keep_attention(sight: Sight, heads: Heads) -> NDArray[np.floating[Any]]:
    """The attention weights, reduced over heads."""
    return heads.reduce(sight.weights)


Keep = Callable[[Sight, Heads], NDArray[np.floating[Any]]]

#: What `capture(record=...)` can keep, by name.
RECORDS: dict[str, Keep] = {"attention": keep_attention}


def parse_record(record: str) -> Keep:
    """Looks up the `record` option.

    Raises:
        OptionError: nothing of that name can be captured.
    """
    if record not in RECORDS:
        raise unknown_name("record", record, RECORDS)
    return RECORDS[record]
