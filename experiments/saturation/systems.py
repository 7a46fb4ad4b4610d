"""The models of this study with what they read, trained and with fresh weights."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attnflow.capture import load_model
from experiments.saturation import texts


@dataclass(frozen=True)
class System:
    """A model and its inputs.

    Attributes:
        name: for records and tables.
        load: returns model and tokenizer.
        inputs: from seed to inputs.
        target: position asked about by default; None: the model's own.
        logits: whether the model has an output that can be differentiated and asked again.
        fitted: whether the rule may be fitted on it; others only check it.
    """

    name: str
    load: Callable[[], tuple[Any, Any]]
    inputs: Callable[[int], list[str]]
    target: int | None = None
    logits: bool = True
    fitted: bool = True


SYSTEMS = {
    system.name: system
    for system in (
        System("sentiment", lambda: load_model("sentiment"), lambda seed: texts.reviews(32, seed)),
        System("agreement", lambda: load_model("agreement"), lambda seed: texts.agreement(32, seed)),
        System(
            "logic", lambda: load_model("logic"), lambda seed: texts.formulas("logic", 28, seed), target=0
        ),
        System("ltl", lambda: load_model("ltl"), lambda seed: texts.formulas("ltl", 28, seed), target=0),
        System(
            "minilm",
            lambda: load_model("minilm"),
            lambda seed: texts.paragraphs(8, seed),
            logits=False,
            fitted=False,
        ),
    )
}


def fresh(model: Any, seed: int) -> Any:
    """A model of the same configuration with the weights that training would start from."""
    import torch

    torch.manual_seed(seed)
    made = type(model)(copy.deepcopy(model.config)).eval()
    if hasattr(model, "generation_config"):
        made.generation_config = model.generation_config
    return made


def digest(model: Any) -> str:
    """Hash of a model's weights, so that records of other weights are told apart."""
    found = hashlib.blake2b(digest_size=8)
    for name, weights in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
