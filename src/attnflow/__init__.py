"""attnflow: which inputs a Transformer's prediction draws on, by exact maximum flow.

The public names are loaded when first used: `import attnflow` alone loads no torch, transformers, numba
or matplotlib.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "AttnflowError": "attnflow.errors",
    "Attribution": "attnflow.attribution",
    "Capacities": "attnflow.capacity",
    "Comparison": "attnflow.comparison",
    "FlowNetwork": "attnflow.network",
    "MaxFlow": "attnflow.maxflow",
    "Player": "attnflow.attribution",
    "Reading": "attnflow.capture.custom",
    "Target": "attnflow.attribution",
    "Token": "attnflow.trace",
    "Trace": "attnflow.trace",
    "attribute": "attnflow.methods",
    "capacities": "attnflow.capacity",
    "capture": "attnflow.capture",
    "capture_each": "attnflow.capture",
    "capture_targets": "attnflow.capture",
    "explain": "attnflow.explain",
    "game": "attnflow.coalitions",
    "register_model": "attnflow.capture.custom",
}

__all__ = [
    "AttnflowError",
    "Attribution",
    "Capacities",
    "Comparison",
    "FlowNetwork",
    "MaxFlow",
    "Player",
    "Reading",
    "Target",
    "Token",
    "Trace",
    "__version__",
    "attribute",
    "capacities",
    "capture",
    "capture_each",
    "capture_targets",
    "explain",
    "game",
    "register_model",
]

if TYPE_CHECKING:
    from attnflow.attribution import Attribution, Player, Target
    from attnflow.capacity import Capacities, capacities
    from attnflow.capture import capture, capture_each, capture_targets
    from attnflow.capture.custom import Reading, register_model
    from attnflow.coalitions import game
    from attnflow.comparison import Comparison
    from attnflow.errors import AttnflowError
    from attnflow.explain import explain
    from attnflow.maxflow import MaxFlow
    from attnflow.methods import attribute
    from attnflow.network import FlowNetwork
    from attnflow.trace import Token, Trace


class _Package(ModuleType):
    """Keeps the public functions `capture` and `explain` from being hidden by the modules they live in."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _WHERE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'attnflow' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
