"""What reads an input into tensors: a tokenizer, an image processor, a feature extractor.

transformers bundles them into processors, in several ways. Here a processor, or any of its parts, handed in as
`processor=` or `tokenizer=`, is taken apart into what each does; what was not handed in is looked for beside
the model, and only when an input needs it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import transformers

from attnflow.capture.interface import first_line
from attnflow.capture.state import quiet
from attnflow.errors import InputError, MissingExtraError

#: What each part is called in messages, and the class that loads it from a directory.
_PARTS = {
    "tokenizer": ("a tokenizer", "AutoTokenizer"),
    "images": ("an image processor", "AutoImageProcessor"),
    "sounds": ("a feature extractor", "AutoFeatureExtractor"),
    "joint": ("a processor", "AutoProcessor"),
}


@dataclass(frozen=True)
class Readers:
    """The parts of a processor.

    Attributes:
        tokenizer: reads text, or None.
        images: reads pictures, or None.
        sounds: reads sound, or None.
        joint: the processor of which the others are parts, or None.
        place: where the model was loaded from, to look for what is missing; may be empty.
        trust: whether code that comes with a checkpoint may run.
    """

    tokenizer: Any = None
    images: Any = None
    sounds: Any = None
    joint: Any = None
    place: str = ""
    trust: bool = False

    def with_part(self, part: str, model: Any) -> Readers:
        """These readers with one part that an input needs, looked for beside the model if it is not here.

        Raises:
            InputError: there is none.
        """
        if getattr(self, part) is not None:
            return self
        found, reason = (None, "") if not self.place else _loaded(self.place, part, self.trust)
        if found is not None:
            return _with(self, found, f"the processor at {self.place!r}")
        what, loader = _PARTS[part]
        have = "" if self.joint is None else f" {type(self.joint).__name__} has none."
        raise InputError(
            f"This input needs {what}, and none was found beside {type(model).__name__}"
            f"{f' ({reason})' if reason else ''}: pass processor=transformers.{loader}.from_pretrained(...), or the "
            f"model's own tensors as inputs=.{have}"
        )


def readers(place: str, tokenizer: Any, processor: Any, trust: bool) -> Readers:
    """Takes apart what was handed in.

    Args:
        place: where the model was loaded from, or "".
        tokenizer: a tokenizer, or a processor handed in as one, or None.
        processor: a processor or a part of one, the place of one, or None.
        trust: whether code that comes with a checkpoint may run.

    Raises:
        InputError: neither is something that reads an input.
    """
    found = Readers(place=place, trust=trust)
    if isinstance(processor, (str, os.PathLike)):
        where = os.fspath(processor)
        for part in ("joint", "images", "sounds", "tokenizer"):
            read, reason = _loaded(where, part, trust)
            if read is not None:
                found = _with(found, read, f"the processor at {where!r}")
                break
        else:
            raise InputError(f"No processor can be loaded from {where!r}: {reason}.")
    elif processor is not None:
        found = _with(found, processor, "processor")
    if tokenizer is not None:
        found = _with(found, tokenizer, "tokenizer")
    return found


def _with(found: Readers, part: Any, what: str) -> Readers:
    kind = _kind(part)
    if kind is None:
        raise InputError(
            f"{what}: expected {'a tokenizer' if what == 'tokenizer' else 'a processor of transformers'} or the place "
            f"of one, found {type(part).__name__}."
        )
    if kind != "joint":
        return replace(found, **{kind: part})
    return replace(
        found,
        joint=part,
        tokenizer=getattr(part, "tokenizer", None) or found.tokenizer,
        images=getattr(part, "image_processor", None) or found.images,
        sounds=getattr(part, "feature_extractor", None)
        or getattr(part, "audio_processor", None)
        or found.sounds,
    )


def _kind(part: Any) -> str | None:
    if isinstance(part, transformers.ProcessorMixin):
        return "joint"
    if isinstance(part, transformers.ImageProcessingMixin):
        return "images"
    if isinstance(part, transformers.FeatureExtractionMixin):
        return "sounds"
    if callable(part) and hasattr(part, "decode") and hasattr(part, "convert_ids_to_tokens"):
        return "tokenizer"
    return None


def _loaded(place: str, part: str, trust: bool) -> tuple[Any, str]:
    """The part at a place, or None and why."""
    if part == "images" and not _importable("PIL"):
        raise MissingExtraError("pillow", "media")
    with quiet():
        try:
            read = getattr(transformers, _PARTS[part][1]).from_pretrained(place, trust_remote_code=trust)
        except Exception as error:  # what a missing one raises depends on its family
            here = Path(place).is_dir()
            reason = first_line(error) if here else f"{place!r} is no directory"
            return None, reason
    wanted = _kind(read)
    return (
        (read, "") if wanted in (part, "joint") else (None, f"{type(read).__name__} is not {_PARTS[part][0]}")
    )


def _importable(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
