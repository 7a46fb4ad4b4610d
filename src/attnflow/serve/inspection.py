"""What a form should know about a model before it is loaded: its architecture, and what it reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args

from attnflow.models import BUNDLED
from attnflow.serve.catalogue import Catalogue
from attnflow.serve.schema import ModelView

Architecture = Literal["encoder", "decoder", "encoder-decoder"]

_DECODERS = ("ForCausalLM", "LMHeadModel")


def model_view(catalogue: Catalogue, name: str) -> ModelView:
    """Describes a model from its bundled entry, or from the configuration beside its weights."""
    place = catalogue.place(name)
    loaded = catalogue.is_loaded(name)
    if place in BUNDLED and not Path(place).is_dir():
        own = BUNDLED[place]
        return ModelView(
            name=name,
            summary=own.summary,
            architecture=_known(own.architecture),
            inputs=["text"],
            licence=own.licence,
            loaded=loaded,
        )
    config = _config(Path(place))
    classes = config.get("architectures") or []
    head = str(classes[0]) if isinstance(classes, list) and classes else ""
    return ModelView(
        name=name,
        summary=head or "a model that the operator added",
        architecture=_architecture(config, head),
        inputs=_inputs(config),
        licence=None,
        loaded=loaded,
    )


def _known(name: str) -> Architecture | None:
    return next((known for known in get_args(Architecture) if known == name), None)


def _config(folder: Path) -> dict[str, object]:
    """The configuration in a directory; empty for a hub id, whose files are not here yet."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _inputs(config: dict[str, object]) -> list[Literal["text", "image"]]:
    if not config or "vision_config" in config:
        return ["text", "image"]
    return ["image"] if "image_size" in config else ["text"]


def _architecture(config: dict[str, object], head: str) -> Architecture | None:
    if not config:
        return None
    if config.get("is_encoder_decoder"):
        return "encoder-decoder"
    return "decoder" if head.endswith(_DECODERS) else "encoder"
