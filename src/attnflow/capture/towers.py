"""Which part of a model is explained.

Models of several senses hold several stacks of attention. A dual encoder (CLIP, SigLIP) has two towers that never
attend to each other: one of them is explained, the one that reads what was given. A model that reads pictures or
sound within a text has towers in front of a language model: the language model is explained, with what the towers
hand it as positions among those of the text.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
import transformers

from attnflow.capture.interface import accepted
from attnflow.errors import CaptureError, InputError

#: Inputs of the model by what they carry.
SENSES = {
    "text": ("input_ids", "inputs_embeds"),
    "image": ("pixel_values", "pixel_values_images", "pixel_values_videos", "image_patches"),
    "audio": ("input_features", "input_values"),
}
#: Inputs that carry pictures or sound.
HOLD_MEDIA = frozenset({*SENSES["image"], *SENSES["audio"]})
_TOWERS = {
    "text": ("text_model",),
    "image": ("vision_model", "image_model", "video_model", "video_encoder"),
    "audio": ("audio_model", "audio_encoder"),
}


def is_dual(model: Any) -> bool:
    """Whether a model is two towers side by side, with one vector of each compared at the end."""
    towers = _towers(model)
    if "text" not in towers or len(towers) < 2 or getattr(model, "can_generate", lambda: False)():
        return False
    return not any(
        name.endswith("crossattention") for name, _ in model.named_modules()
    )  # BridgeTower's cross


def tower_models(model: Any) -> tuple[Any, ...]:
    """The models that a dual encoder is made of, one for each sense: what `tower` finds for them."""
    return tuple(
        tower(part, {sense}) if is_dual(part) else part for sense, (_, part) in _towers(model).items()
    )


def tower(model: Any, senses: Collection[str]) -> Any:
    """The tower of a dual encoder that reads what was given.

    Args:
        model: a dual encoder.
        senses: what was given: "text", "image", "audio".

    Raises:
        InputError: something for both towers, or for none.
        CaptureError: the tower is no model of its own.
    """
    towers = _towers(model)
    names = " and ".join(f"model.{name}" for name, _ in towers.values())
    given = [sense for sense in towers if sense in senses]
    if len(given) != 1:
        what = " and ".join(given) if given else "nothing that it reads"
        raise InputError(
            f"{type(model).__name__} has a tower each for {' and '.join(towers)}, and no attention runs between them: "
            f"found {what}, expected one of the two; each tower ({names}) is explained by itself."
        )
    name, found = towers[given[0]]
    if not isinstance(found, transformers.PreTrainedModel):
        raise CaptureError(
            f"{type(model).__name__}.{name} is a {type(found).__name__}, no model of its own: load the class of its "
            f"{given[0]} tower and pass that."
        )
    return tower(found, senses) if is_dual(found) else found


def _towers(model: Any) -> dict[str, tuple[str, Any]]:
    found = {}
    for sense, names in _TOWERS.items():
        for name in names:
            part = getattr(model, name, None)
            if isinstance(part, torch.nn.Module):
                found[sense] = (name, part)
                break
    if not {"input_ids"} <= accepted(model)[0]:  # a classifier over one of them
        return {}
    return found


def language_part(model: Any) -> tuple[str, Any]:
    """The language model inside a model that also reads pictures or sound, with its qualified name.

    Returns:
        `("", model)` for a model of one sense.
    """
    sensed = False
    for sense in ("image", "audio"):
        try:
            part = model.get_encoder(modality=sense)
        except (AttributeError, TypeError, ValueError):
            continue
        sensed = sensed or bool(
            isinstance(part, torch.nn.Module) and part is not model and _name(model, part)
        )
    if not sensed and getattr(getattr(model, "config", None), "vision_config", None) is None:
        return "", model
    try:
        part = model.get_decoder()
    except (AttributeError, TypeError, ValueError):
        return "", model
    name = _name(model, part) if isinstance(part, torch.nn.Module) else ""
    return (name, part) if name and part is not getattr(model, "base_model", None) else ("", model)


def _name(model: Any, part: Any) -> str:
    """Qualified name of a part of a model; "" for the model itself, or if it is none."""
    return next((name for name, module in model.named_modules() if module is part), "")


def reads_within_text(model: Any) -> bool:
    """Whether a model goes on with a text in which pictures or sound may stand."""
    return bool(language_part(model)[0]) and bool(getattr(model, "can_generate", lambda: False)())


def senses_of(names: Collection[str]) -> set[str]:
    """What named inputs carry."""
    return {sense for sense, carriers in SENSES.items() if set(carriers) & set(names)}
