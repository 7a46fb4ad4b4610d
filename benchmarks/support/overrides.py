"""What single families need beyond small sizes, declared."""

from __future__ import annotations

from typing import Any

#: Arguments that a configuration class cannot do without, by model type.
DEFAULTS: dict[str, dict[str, Any]] = {}

#: Fields of the configuration of one model type, when it is built by itself or inside another.
BY_CLASS: dict[str, dict[str, Any]] = {}

#: Fields of the configuration of one model type as a whole; sub-configurations as nested mappings.
OVERRIDES: dict[str, dict[str, Any]] = {}

#: Inputs of families that no rule fits: from a model to (label, tensors).
INPUTS: dict[str, Any] = {}

#: Which classes of a type are tried, in turn, where the first of the auto mappings is not the one to take.
CLASSES: dict[str, tuple[str, ...]] = {}
