"""Scores of patches by every method, [CLS] the target.

DINOv2 has no classes. Methods that ask about an output are asked about how far [CLS] goes in the direction in which
it differs from the mean [CLS] of all pictures: a linear head on the model, of one row, made for each picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Dinov2ForImageClassification

from attnflow import capture
from attnflow.evaluate.baselines.chefer import rolled
from experiments import perturbed
from experiments.grid import Row
from experiments.packaged import Packaged
from experiments.vision.pictures import GRID, PATCH, Picture

Scores = NDArray[np.float64]

DEPTH = 12
LATE = (DEPTH - 1, DEPTH)
BLIND = (
    Row("attention", "attention"),
    Row("rollout", "attention"),
    Row("flow", "attention"),
    Row("shapley", "attention"),
    Row("rollout", "attention", layers=LATE),
    Row("flow", "attention", layers=LATE),
    Row("shapley", "attention", layers=LATE),
    Row("flow", "attention", "open"),
    Row("rollout", "norm"),
    Row("flow", "norm", "open"),
)
ASKED = (
    Row("flow", "conserved"),
    Row("flow", "conserved", signed=True),
    Row("flow", "relevance"),
    Row("flow", "relevance", signed=True),
    Row("shapley", "relevance"),
    Row("flow", "attention-gradient", "open"),
    Row("flow", "attention-gradient"),
)
OTHERS = ("chefer", *perturbed.NAMES, "random")


def pixels_of(loaded: Packaged, picture: Picture) -> torch.Tensor:
    """What the model reads, `[1, 3, height, width]`: the picture as it is, no resizing."""
    found: torch.Tensor = loaded.processor(
        picture.pixels, do_resize=False, do_center_crop=False, return_tensors="pt"
    ).pixel_values
    return found


def vector(loaded: Packaged, picture: Picture) -> torch.Tensor:
    """The picture's [CLS] vector behind the last norm."""
    with torch.no_grad():
        found: torch.Tensor = loaded.model(pixels_of(loaded, picture)).last_hidden_state[0, 0]
    return found


def headed(loaded: Packaged, direction: torch.Tensor) -> Any:
    """The model with a head whose logit 0 is [CLS] along a direction."""
    config = loaded.model.config.__class__.from_dict({**loaded.model.config.to_dict(), "num_labels": 2})
    with torch.device("meta"):
        made = Dinov2ForImageClassification(config)
    made.dinov2 = loaded.model
    width = len(direction)
    made.classifier = torch.nn.Linear(2 * width, 2)  # [CLS], then the patches' mean
    with torch.no_grad():
        made.classifier.weight.zero_()
        made.classifier.bias.zero_()
        made.classifier.weight[0, :width] = direction / direction.norm()
    return made.eval()


def every(loaded: Packaged, picture: Picture, mean: torch.Tensor) -> dict[str, Scores]:
    """Scores `[patches]` by name.

    Args:
        loaded: the model.
        picture: to explain.
        mean: the mean [CLS] vector of all pictures.
    """
    pixels = pixels_of(loaded, picture)
    model = headed(loaded, vector(loaded, picture) - mean)
    inputs = {"pixel_values": pixels}
    trace = capture(model, inputs=inputs, record=["attention", "norm"])
    asked = capture(model, inputs=inputs, record=sorted({row.record for row in ASKED}), target=0, output=0)
    found = {row.name: row.scores(trace, [0])[0] for row in BLIND}
    found |= {row.name: row.scores(asked, [0])[0] for row in ASKED}
    found["chefer"] = rolled(asked, (0,))
    found = {name: scores[1:] for name, scores in found.items()}  # without [CLS]
    places = torch.arange(GRID * GRID).reshape(GRID, GRID)
    places = places.repeat_interleave(PATCH, 0).repeat_interleave(PATCH, 1).expand(3, -1, -1).contiguous()
    grey = pixels.mean((2, 3), keepdim=True)
    values = perturbed.scores(lambda given: model(given).logits[:, :1], pixels, grey, places)
    found |= {name: scores[0] for name, scores in values.items()}
    found["random"] = np.random.default_rng([7, *picture.name.encode()]).random(GRID * GRID)
    return found
