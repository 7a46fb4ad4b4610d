"""What is kept of every attention layer while the model runs.

The weights themselves are always kept: one function `keep(sight, heads)`, called once for every layer as it is
computed, returns the matrix. What needs more than the weights, gradients or projections, is gathered by an
`Observer` beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.errors import OptionError, unknown_name
from attnflow.trace import GRADIENT_RECORDS, max_over_heads

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

    def chosen(self, weights: torch.Tensor) -> torch.Tensor:
        """The heads that count, in float32, or float64 if they were: `[heads, ...]`.

        Raises:
            OptionError: a head of the subset does not exist.
        """
        weights = weights.detach()
        if weights.dtype != torch.float64:
            weights = weights.float()
        if self.subset is None:
            return weights
        beyond = [head for head in self.subset if head >= weights.shape[0]]
        if beyond:
            raise OptionError(
                f"heads={list(self.subset)}: found a layer with {weights.shape[0]} heads; "
                f"expected indices from 0 to {weights.shape[0] - 1}."
            )
        return weights[list(self.subset)]

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
        weights = self.chosen(weights)
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
        name: qualified name of the module that computes it.
        weights: `[heads, queries, keys]`, the weights after softmax.
        value: `[1, value heads, keys, width]`, the values that are mixed.
        output: `[1, queries, heads, width]`, the mixed values before any projection.
        batch: the very tensor that the model mixes values by.
        arrange: from a tensor like `batch`, such as its gradient, to `[heads, queries, keys]`.
        projection: `[heads * width, model width]` where the same function projects the output, else None.
    """

    name: str
    weights: torch.Tensor
    value: torch.Tensor
    output: torch.Tensor
    batch: torch.Tensor
    arrange: Callable[[torch.Tensor], torch.Tensor]
    projection: torch.Tensor | None = None


def keep_attention(sight: Sight, heads: Heads) -> NDArray[np.floating[Any]]:
    """The attention weights, reduced over heads."""
    return heads.reduce(sight.weights)


Keep = Callable[[Sight, Heads], NDArray[np.floating[Any]]]


class Observer(Protocol):
    """Gathers records beside the attention weights."""

    def within(self, model: torch.nn.Module, tensors: dict[str, Any]) -> AbstractContextManager[None]:
        """What the pass runs within: hooks, gradient mode."""

    def see(self, number: int, sight: Sight) -> None:
        """Looks at one layer; `number` counts the layers of a pass from 0."""


#: What is kept of every layer's weights, by name.
RECORDS: dict[str, Keep] = {"attention": keep_attention}
#: Every name that `capture(record=...)` takes.
NAMES = ("attention", "norm", *GRADIENT_RECORDS)
#: The record of `attnflow.capture.conserved`.
CONSERVED = "conserved"


def parse_records(record: str | Sequence[str], heads: Heads) -> tuple[str, ...]:
    """Reads the `record` option: a name or several.

    Raises:
        OptionError: nothing of that name can be captured, or not with these heads.
    """
    names = (record,) if isinstance(record, str) else tuple(dict.fromkeys(record))
    if not names:
        raise OptionError(f"record is empty: expected one or more of {', '.join(NAMES)}.")
    for name in names:
        if name not in NAMES:
            raise unknown_name("record", name, NAMES)
        if name != "attention" and heads.name in ("max", "all"):
            raise OptionError(
                f"heads={heads.name!r} goes with attention weights only: {name!r} is a sum or mean over heads by "
                "definition. Expected 'mean', or a list of head indices to take it over."
            )
        if name == CONSERVED and heads.subset is not None:
            raise OptionError(
                f"heads={list(heads.subset)}: {name!r} shares a prediction out among all heads and the residual, so "
                "that none can be left out. Expected heads='mean'."
            )
    return names
