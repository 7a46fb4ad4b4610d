"""Shapley values of the model's own game, by captum's sampling of orders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import OptionError
from attnflow.evaluate.baselines.library import captum
from attnflow.evaluate.prediction import Prediction


def scores(
    prediction: Prediction,
    *,
    samples: int = 25,
    hide: str = "mask",
    scale: str = "probability",
    seed: int = 0,
) -> NDArray[np.float64]:
    """The mean rise of the output as tokens are shown one after the other, over random orders.

    Scores sum to the output of the whole input less that of an input with everything hidden. One forward pass for
    each order and token.

    Args:
        prediction: what is explained. Tokens that are never hidden score 0.
        samples: orders.
        hide: "mask" or "delete".
        scale: the output's "probability" or its "logit".
        seed: of the orders; torch's own random state is left alone.
    """
    import torch

    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise OptionError(f"samples={samples!r}: expected a number of orders from 1 up.")
    attr = captum()
    places = prediction.hideable
    found = np.zeros(prediction.players)
    if not len(places):
        return found
    predict = prediction.hiding(hide, scale=scale)

    def value(shown: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(np.asarray(predict(shown.cpu().numpy() > 0.5)))

    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        found[places] = (
            attr.ShapleyValueSampling(value)
            .attribute(
                torch.ones(1, len(places)), n_samples=samples, perturbations_per_eval=max(prediction.batch, 1)
            )[0]
            .numpy()
        )
    return found
