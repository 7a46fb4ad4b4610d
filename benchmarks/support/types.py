"""Which model types the installed transformers has, and which of their classes are tried."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

#: Auto mappings in the order in which a type's class is chosen: what a model is mostly used for comes first.
PREFERRED = (
    "SEQ_TO_SEQ_CAUSAL_LM",
    "SPEECH_SEQ_2_SEQ",
    "IMAGE_TEXT_TO_TEXT",
    "MASKED_LM",
    "CAUSAL_LM",
    "MULTIMODAL_LM",
    "IMAGE_CLASSIFICATION",
    "VIDEO_CLASSIFICATION",
    "CTC",
    "AUDIO_CLASSIFICATION",
    "SEQUENCE_CLASSIFICATION",
    "TOKEN_CLASSIFICATION",
    "QUESTION_ANSWERING",
    "VISUAL_QUESTION_ANSWERING",
    "TABLE_QUESTION_ANSWERING",
    "OBJECT_DETECTION",
    "ZERO_SHOT_OBJECT_DETECTION",
    "SEMANTIC_SEGMENTATION",
    "DEPTH_ESTIMATION",
)

#: Mappings whose class is the bare model.
BARE = ("", "PRETRAINING", "BACKBONE", "TEXT_ENCODING", "IMAGE")


@dataclass(frozen=True)
class ModelType:
    """One model type.

    Attributes:
        name: as configurations write it.
        classes: names of its model classes, the one most used first.
    """

    name: str
    classes: tuple[str, ...]


def mappings() -> dict[str, dict[str, Any]]:
    """Every auto mapping from model type to class names, by what transformers calls it."""
    from transformers.models.auto import modeling_auto

    found = {}
    for name, mapping in vars(modeling_auto).items():
        if name.startswith("MODEL_") and name.endswith("NAMES"):
            task = name.removesuffix("_NAMES").removesuffix("_MAPPING")
            found[task.removeprefix("MODEL_").removeprefix("FOR_").removeprefix("MODEL")] = mapping
    found[""] = found.pop("MAPPING", None) or modeling_auto.MODEL_MAPPING_NAMES
    return found


def model_types() -> list[ModelType]:
    """Every model type that some auto class builds, in transformers' own order."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    found = mappings()
    rest = [name for name in found if name not in PREFERRED and name not in BARE]
    order = [name for name in (*PREFERRED, *rest, *BARE) if name in found]
    types = []
    for kind in CONFIG_MAPPING_NAMES:
        classes: list[str] = []
        for task in order:
            named = found[task].get(kind, ())
            classes += [named] if isinstance(named, str) else list(named)
        if classes:
            types.append(ModelType(kind, tuple(dict.fromkeys(classes))))
    return types


def find_class(kind: str, name: str) -> Any:
    """The model class of that name, from the package of its type."""
    import transformers
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import model_type_to_module_name

    if hasattr(transformers, name):
        return getattr(transformers, name)
    try:
        return modeling_auto.MODEL_MAPPING._load_attr_from_module(kind, name)
    except ValueError:  # a class that its package does not export
        folder = model_type_to_module_name(kind)
        return getattr(import_module(f"transformers.models.{folder}.modeling_{folder}"), name)
