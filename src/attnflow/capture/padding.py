"""Inputs of different lengths in one tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from attnflow.capture.generation import is_encoder_decoder
from attnflow.capture.interface import accepted

_KNOWN = {"input_ids", "attention_mask", "token_type_ids", "decoder_input_ids"}


class Apart(Exception):  # noqa: N818
    """Inputs that cannot be run together.

    Args:
        reason: why.
        lasting: whether no other inputs of this model can either.
    """

    def __init__(self, reason: str, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True)
class Padded:
    """A batch.

    Attributes:
        tensors: `[batch, positions]` by name, what the model is called with.
        places: per axis of positions, found by its size, and row, where that row's positions stand.
        lengths: per row, number of positions that are no padding.
        decoder: size of the decoder's axis, or None without one; never that of the encoder's.
    """

    tensors: dict[str, Any]
    places: Mapping[int, tuple[range, ...]]
    lengths: tuple[int, ...]
    decoder: int | None = None

    @property
    def even(self) -> bool:
        """Whether nothing is padded."""
        return all(len(place) == size for size, rows in self.places.items() for place in rows)


def pad(model: Any, tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> Padded:
    """Pads what several inputs are called with.

    On the left only where the tokenizer says so and the model is told every position; causal models and models with
    masks read the same either way.

    Args:
        model: the model.
        tokenizer: its side and padding token; may be None.
        rows: tensors of one input each, `[1, positions]`.

    Raises:
        Apart: other tensors than ids and masks, padding of their own, half precision.
    """
    names = set(rows[0])
    if any(set(row) != names for row in rows) or not names <= _KNOWN or "input_ids" not in names:
        raise Apart("inputs are not ids alone", lasting=False)
    if any(not torch.is_tensor(value) or value.ndim != 2 for row in rows for value in row.values()):
        raise Apart("inputs are not ids alone", lasting=False)
    if any("attention_mask" in row and not bool(row["attention_mask"].all()) for row in rows):
        raise Apart("inputs hold padding of their own", lasting=False)
    both = is_encoder_decoder(model)
    if both != ("decoder_input_ids" in names):
        raise Apart("the decoder reads what it makes itself")
    if any(part.is_floating_point() and part.dtype.itemsize < 4 for part in model.parameters()):
        raise Apart("half precision rounds differently in a batch")
    lengths = [int(row["input_ids"].shape[1]) for row in rows]
    size = max(lengths)
    takes, anything = accepted(model)
    uneven = min(lengths) < size
    if uneven and "attention_mask" not in takes and not anything:
        raise Apart("the model takes no mask of padding")
    numbered = "position_ids" in takes and bool(getattr(model, "can_generate", lambda: False)()) and not both
    left = numbered and getattr(tokenizer, "padding_side", "right") == "left"
    places = [range(size - length, size) if left else range(length) for length in lengths]
    fill = _padding_id(model, tokenizer)
    tensors = {
        name: _joined([row[name] for row in rows], size, places, fill if name == "input_ids" else 0)
        for name in names & {"input_ids", "token_type_ids"}
    }
    mask = _joined([torch.ones_like(row["input_ids"]) for row in rows], size, places, 0)
    if "attention_mask" in takes or anything:
        tensors["attention_mask"] = mask
    if left and uneven:
        tensors["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    if not both:
        return Padded(tensors, {size: tuple(places)}, tuple(lengths))
    decoded = [int(row["decoder_input_ids"].shape[1]) for row in rows]
    wide = max(decoded) + (max(decoded) == size)  # so that an axis tells by its size whose it is
    targets = [range(length) for length in decoded]
    tensors["decoder_input_ids"] = _joined([row["decoder_input_ids"] for row in rows], wide, targets, fill)
    if "decoder_attention_mask" in takes:
        ones = [torch.ones_like(row["decoder_input_ids"]) for row in rows]
        tensors["decoder_attention_mask"] = _joined(ones, wide, targets, 0)
    totals = tuple(a + b for a, b in zip(lengths, decoded))
    return Padded(tensors, {size: tuple(places), wide: tuple(targets)}, totals, wide)


def _joined(parts: Sequence[torch.Tensor], size: int, places: Sequence[range], fill: int) -> torch.Tensor:
    whole = parts[0].new_full((len(parts), size), fill)
    for row, (part, place) in enumerate(zip(parts, places)):
        whole[row, place.start : place.stop] = part[0]
    return whole


def _padding_id(model: Any, tokenizer: Any) -> int:
    """What the model itself takes for padding; any id will do where it has none, as the mask hides it."""
    for owner in (model.config, tokenizer):
        found = getattr(owner, "pad_token_id", None)
        if isinstance(found, int) and found >= 0:
            return found
    return 0
