"""Baselines for inputs that are no tokens: pixels and spectrograms. Parts of the input are players.

`attnflow.evaluate.baselines` hides tokens. Here what is hidden takes the value of a start, such as silence or grey, and
scores are sums over a part's numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

Scores = NDArray[np.float64]
#: From inputs `[batch, ...]` to outputs `[batch, outputs]`.
Values = Callable[[torch.Tensor], torch.Tensor]

STEPS = 8
OCCLUSION = "occlusion"
TIMES_INPUT = "gradient x input"
INTEGRATED = f"integrated gradients, {STEPS} steps"
NAMES = (OCCLUSION, TIMES_INPUT, INTEGRATED)


def scores(
    values: Values, given: torch.Tensor, start: torch.Tensor, places: torch.Tensor, *, batch: int = 8
) -> dict[str, Scores]:
    """Scores `[outputs, parts]` by name.

    Occlusion is Zeiler and Fergus's (2014): the output less the output without the part. The gradient is multiplied by
    given less start (Shrikumar et al. 2017). Integrated gradients (Sundararajan et al. 2017) average the gradient at
    the middles of equal steps from start to given.

    Args:
        values: the model.
        given: the input `[1, ...]`.
        start: what hidden numbers become, of a shape that `given` can take on.
        places: int64, the shape of `given[0]`: the part of each number, from 0 without gaps.
        batch: most inputs that one pass reads.
    """
    start = start.expand_as(given)
    count = int(places.max()) + 1
    with torch.no_grad():
        whole = values(given)[0]
        left = []
        for numbers in torch.arange(count).split(batch):
            hidden = numbers.reshape(-1, *[1] * places.ndim) == places
            left.append(values(torch.where(hidden, start, given)))
    found = {OCCLUSION: (whole - torch.cat(left)).T}
    way = (given - start)[0]
    found[TIMES_INPUT] = _summed(_gradients(values, given) * way, places, count)
    mean = sum(_gradients(values, start + (step + 0.5) / STEPS * way) for step in range(STEPS)) / STEPS
    found[INTEGRATED] = _summed(mean * way, places, count)
    return {name: part.double().numpy() for name, part in found.items()}


def _gradients(values: Values, given: torch.Tensor) -> torch.Tensor:
    """`[outputs, ...]`."""
    leaf = given.detach().clone().requires_grad_()
    outputs = values(leaf)[0]
    last = len(outputs) - 1
    return torch.stack(
        [torch.autograd.grad(one, leaf, retain_graph=at < last)[0][0] for at, one in enumerate(outputs)]
    )


def _summed(numbers: torch.Tensor, places: torch.Tensor, count: int) -> torch.Tensor:
    return torch.zeros(len(numbers), count).index_add(1, places.flatten(), numbers.flatten(1))
