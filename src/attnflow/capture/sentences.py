"""Sentence embedding models: a transformers model with a pooling over its positions behind it.

What stands for the whole text is then no position but the pooling: the default target is the weighted set that it
reads. It is told by a SentenceTransformer itself, or by the files beside a checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attnflow.trace import Decision


def is_sentence_model(model: Any) -> bool:
    """Whether this is a SentenceTransformer over a transformers model."""
    return type(model).__module__.startswith("sentence_transformers.") and transformer_of(model) is not None


def transformer_of(model: Any) -> Any:
    """The transformers model inside a SentenceTransformer, or None."""
    first = next(iter(model.children()), None)
    return getattr(first, "auto_model", None)


def tokenizer_of(model: Any) -> Any:
    """The tokenizer of a SentenceTransformer."""
    return getattr(next(iter(model.children()), None), "tokenizer", None)


def pooling_of(model: Any, place: str) -> str | None:
    """How positions are pooled: "mean", "cls", "lasttoken", "weightedmean" or "mean_sqrt_len_tokens".

    Args:
        model: what the caller handed in as model.
        place: where it was loaded from, or "".

    Returns:
        The way, or None where nothing says so or there are several.
    """
    if is_sentence_model(model):
        ways = [getattr(part, "pooling_mode", None) for part in model.children()]
        return next((way for way in ways if isinstance(way, str)), None)
    folder = Path(place)
    if not place or not (folder / "modules.json").is_file():
        return None
    for file in sorted(folder.glob("*_Pooling/config.json")):
        config = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(config.get("pooling_mode"), str):
            return str(config["pooling_mode"])
        chosen = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
        names = [
            name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
            for name in chosen
        ]
        return names[0] if len(names) == 1 else None
    return None


def pooled_target(way: str, size: int) -> Decision | None:
    """The default target of a pooling over `size` positions; None for one that is no mean, such as a maximum."""
    if way in ("cls", "lasttoken"):
        return Decision((0 if way == "cls" else size - 1,))
    if way in ("mean", "mean_sqrt_len", "mean_sqrt_len_tokens"):
        return Decision(tuple(range(size)), weights=(1 / size,) * size if size > 1 else None)
    if way == "weightedmean":  # later positions weigh more, in proportion to their number
        total = size * (size + 1) / 2
        return Decision(tuple(range(size)), weights=tuple((index + 1) / total for index in range(size)))
    return None
