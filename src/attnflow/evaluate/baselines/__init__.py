"""Attributions by others' methods, to measure ours against.

Each is a function of a `Prediction`, by name in a registry: it returns one number per player, higher for what speaks
more for the output, or matters more to it where the method tells no direction. Gradients, integrated gradients and
Shapley sampling are captum's (`attnflow[evaluate]`). Importing this package loads neither torch nor captum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import AttnflowError, OptionError, unknown_name
from attnflow.evaluate.baselines import (
    alti,
    chance,
    chefer,
    generalized,
    gradients,
    integrated,
    occlusion,
    sampling,
)
from attnflow.evaluate.prediction import Prediction

__all__ = ["BASELINES", "Baseline", "find", "register", "scores"]


@dataclass(frozen=True)
class Baseline:
    """A method by others.

    Attributes:
        name: what callers write.
        scores: from a prediction, and options, to float64 [players].
        source: the paper.
        signed: whether scores tell what speaks for the output from what speaks against it.
    """

    name: str
    scores: Callable[..., NDArray[np.float64]]
    source: str
    signed: bool = False


#: By name.
BASELINES: dict[str, Baseline] = {}


def register(baseline: Baseline) -> Baseline:
    """Adds a method under its name.

    Raises:
        OptionError: the name is taken.
    """
    if baseline.name in BASELINES:
        raise OptionError(f"A baseline called {baseline.name!r} is registered already.")
    BASELINES[baseline.name] = baseline
    return baseline


def find(name: str) -> Baseline:
    """Returns the method registered as `name`.

    Raises:
        OptionError: there is none; the message suggests the nearest.
    """
    if name not in BASELINES:
        raise unknown_name("baseline", name, BASELINES)
    return BASELINES[name]


def scores(name: str, prediction: Prediction, **options: Any) -> NDArray[np.float64]:
    """Scores every player by one method.

    Args:
        name: of the method.
        prediction: what is explained, see `attnflow.evaluate.prediction`.
        options: the method's own, such as `seed`, `steps` or `hide`.

    Returns:
        float64 [players].

    Raises:
        OptionError: unknown name or option.
        CaptureError: a model for which the method is not defined.
        MissingExtraError: captum is not installed.
    """
    found = np.asarray(find(name).scores(prediction, **options), dtype=np.float64)
    if found.shape != (prediction.players,) or not np.isfinite(found).all():
        raise AttnflowError(
            f"{name}: expected {prediction.players} finite scores, found shape {found.shape}"
            f"{'' if np.isfinite(found).all() else ', some not finite'}."
        )
    return found


for _made in (
    Baseline("random", chance.scores, "none: seeded"),
    Baseline(
        "gradient-x-input",
        gradients.times_input,
        "Shrikumar et al. 2017 (arXiv 1605.01713), by captum",
        signed=True,
    ),
    Baseline("gradient-norm", gradients.norm, "Simonyan et al. 2014 (arXiv 1312.6034), by captum"),
    Baseline(
        "integrated-gradients",
        integrated.scores,
        "Sundararajan et al. 2017 (arXiv 1703.01365), by captum",
        signed=True,
    ),
    Baseline("occlusion", occlusion.scores, "Zeiler & Fergus 2014 (arXiv 1311.2901)", signed=True),
    Baseline(
        "shapley-sampling",
        sampling.scores,
        "Castro et al. 2009 (doi 10.1016/j.cor.2008.04.004), by captum",
        signed=True,
    ),
    Baseline("chefer", chefer.scores, "Chefer et al. 2021 (arXiv 2103.15679)"),
    Baseline("alti-rollout", alti.scores, "Ferrando et al. 2022 (arXiv 2203.04212)"),
    Baseline("gaf-attention", generalized.attention, "AF of Azarkhalili & Libbrecht 2025 (arXiv 2502.15765)"),
    Baseline("gaf-gradient", generalized.gradient, "GF of Azarkhalili & Libbrecht 2025 (arXiv 2502.15765)"),
    Baseline(
        "gaf-attention-gradient",
        generalized.attention_gradient,
        "AGF of Azarkhalili & Libbrecht 2025 (arXiv 2502.15765)",
    ),
):
    register(_made)
