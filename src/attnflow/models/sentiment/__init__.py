"""The bundled model `sentiment`: is an English sentence positive or negative?

MiniLM with a low-rank adapter trained on human-rated sentences, most of them about movies. It classifies
from `[CLS]`, position 0 of the last layer: BERT's pooler (a dense layer and tanh) and a linear classifier
read that position alone, so 0 is the target that an attribution of its decision asks about. The README beside
this file is the model card.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attnflow.models.sentiment import adapter

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["ADAPTER", "POOLED_POSITION", "load"]

ADAPTER = Path(__file__).parent / "adapter.safetensors"
POOLED_POSITION = 0  # [CLS]


def load() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Loads the sentiment classifier: labels 0 NEGATIVE and 1 POSITIVE.

    Returns:
        The model (BertForSequenceClassification, 6 layers, 12 heads, width 384, float32, evaluation mode) and
        its tokenizer.

    Raises:
        MissingExtraError: torch, transformers or the base package is missing; `attnflow[demo]` brings them.
    """
    base = adapter.base_directory()
    from transformers import AutoTokenizer

    model = adapter.build(ADAPTER)
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(base)
    tokenizer.name_or_path = adapter.NAME
    return model, tokenizer
