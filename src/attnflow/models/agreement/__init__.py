"""The bundled model `agreement`: which form of the verb follows an English subject?

A small decoder-only language model (GPT-2's architecture) of templated English in which nouns of the other number
stand between subject and verb. `language` makes the sentences and knows each one's subject, attractors and verb.
The README beside this file is the model card.
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
    """Loads the language model.

    Returns:
        The model (GPT2LMHeadModel, 4 layers, 4 heads, width 128, float32, evaluation mode) and its tokenizer.

    Raises:
        MissingExtraError: torch or transformers is missing; `attnflow[hf]` brings them.
    """
    return packaged.read("agreement", MODEL)
