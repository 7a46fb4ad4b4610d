"""timm, where it is installed or where `make realmodels` puts it: a folder of its own.

timm imports torchvision, whose compiled operators fit one build of torch only, and transformers imports torchvision as
soon as it finds it. So both live in `<environment>/timm`, out of sight of everything else, and the two operators that
torchvision declares on import are declared before it where its library does not load. No weights: models are random.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(sys.prefix) / "timm"
_DECLARED = (
    "nms(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor",
)
#: Holds what is declared: it is forgotten with the object.
_LIBRARY: list[torch.library.Library] = []


def declare_operators() -> None:
    """Declares the operators that torchvision expects of its compiled library when it is imported."""
    if _LIBRARY:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    _LIBRARY.append(library)
    for schema in _DECLARED:
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)


def import_timm() -> Any:
    """Imports timm, and leaves the path of imports as it was.

    Raises:
        ImportError: it is installed nowhere.
    """
    if "timm" in sys.modules:
        return sys.modules["timm"]
    beside = find_spec("timm") is None
    if beside and not (FOLDER / "timm").is_dir():
        raise ImportError("timm is not installed: run `make realmodels`.")
    if beside:
        sys.path.append(str(FOLDER))
        declare_operators()
    try:
        import timm
    finally:
        if beside:
            sys.path.remove(str(FOLDER))
    return timm
