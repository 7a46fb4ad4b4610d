"""The bundled model `logic`: which values of some variables make a propositional formula true?

A small encoder-decoder (mBART's architecture) that reads a formula of up to 12 nodes over five variables in
Polish notation and writes the shortest partial assignment that satisfies it. `language` says what formulas mean
and what answers are right. The README beside this file is the model card.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attnflow.models import packaged

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["MODEL", "load"]

MODEL = Path(__file__).parent / "model"


def load() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Loads the model.

    Returns:
        The model (MBartForConditionalGeneration, 7 + 2 layers, 4 heads, width 128, float32, evaluation mode)
        and its tokenizer.

    Raises:
        MissingExtraError: torch or transformers is missing; `attnflow[hf]` brings them.
    """
    return packaged.read("logic", MODEL)
