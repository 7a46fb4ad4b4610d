"""What a pass of a model comes to: logits, one vector, boxes; told from its outputs and nothing else."""

from __future__ import annotations

from typing import Any

import torch


def find_logits(outputs: Any) -> torch.Tensor | None:
    """The logits of a pass, whatever the family calls them; None for a model without head."""
    for name in ("logits", "prediction_logits"):
        found: torch.Tensor | None = getattr(outputs, name, None)
        if torch.is_tensor(found):
            return found
    return None


def find_vector(outputs: Any) -> torch.Tensor | None:
    """The one vector `[1, width]` that an embedding model makes of its whole input, or None."""
    for name in ("image_embeds", "text_embeds", "embeddings", "pooler_output"):
        found: Any = getattr(outputs, name, None)
        if torch.is_tensor(found) and found.ndim == 2:
            vector: torch.Tensor = found
            return vector
    return None


def is_pooled(model: Any, outputs: Any, size: int) -> bool:
    """Whether the output is one vector of class logits for the whole input, not one logit per position."""
    logits = find_logits(outputs)
    if logits is None or logits.ndim != 2:
        return False
    return bool(logits.shape[1] != size or size == getattr(model.config, "num_labels", None))


def finds_objects(outputs: Any) -> bool:
    """Whether the output is a box and a class for each of a number of queries."""
    return torch.is_tensor(getattr(outputs, "pred_boxes", None)) and find_logits(outputs) is not None


def spells(model: Any, rows: torch.Tensor) -> bool:
    """Whether rows of logits are letters or nothing at each moment (connectionist temporal classification)."""
    return any(base.__name__.endswith("ForCTC") for base in type(model).__mro__) and rows.ndim == 2
