"""Tiny random models that see and hear, and the processors that go with them."""

from __future__ import annotations

import numpy as np
import transformers
from transformers.utils import logging

logging.set_verbosity_error()

SIDE, PATCH = 24, 8
_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "image_size": SIDE,
    "patch_size": PATCH,
}
_CLASSES = {"num_labels": 3}
_TEXT = {
    "vocab_size": 200,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 40,
}
_WHISPER = {
    "vocab_size": 200,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 37,
    "num_mel_bins": 16,
    "max_source_positions": 50,
    "decoder_start_token_id": 1,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "bos_token_id": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}
_WAV = {
    "vocab_size": 30,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "conv_dim": (8, 8, 8),
    "conv_stride": (5, 8, 4),
    "conv_kernel": (10, 8, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "pad_token_id": 0,
}

#: name -> (class, configuration class, configuration)
FAMILIES: dict[str, tuple[str, str, dict]] = {
    "vit": ("ViTModel", "ViTConfig", _VIT),
    "vit-class": ("ViTForImageClassification", "ViTConfig", {**_VIT, **_CLASSES}),
    "deit": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", {**_VIT, **_CLASSES}),
    "dinov2": ("Dinov2Model", "Dinov2Config", _VIT),
    "dinov2-registers": (
        "Dinov2WithRegistersForImageClassification",
        "Dinov2WithRegistersConfig",
        {**_VIT, **_CLASSES},
    ),
    "dinov3": ("DINOv3ViTModel", "DINOv3ViTConfig", {**_VIT, "num_register_tokens": 3}),
    "beit": ("BeitForImageClassification", "BeitConfig", {**_VIT, **_CLASSES}),
    "ijepa": ("IJepaModel", "IJepaConfig", _VIT),
    "siglip-vision": ("SiglipVisionModel", "SiglipVisionConfig", _VIT),
    "clip-vision": ("CLIPVisionModelWithProjection", "CLIPVisionConfig", _VIT),
    "yolos": (
        "YolosForObjectDetection",
        "YolosConfig",
        {**_VIT, **_CLASSES, "image_size": [SIDE, SIDE], "num_detection_tokens": 4},
    ),
    "mae": ("ViTMAEModel", "ViTMAEConfig", {**_VIT, "mask_ratio": 0.3}),
    "clip": (
        "CLIPModel",
        "CLIPConfig",
        {
            "vision_config": _VIT,
            "text_config": {**_TEXT, "eos_token_id": 3, "bos_token_id": 1, "pad_token_id": 0},
        },
    ),
    "siglip": ("SiglipModel", "SiglipConfig", {"vision_config": _VIT, "text_config": _TEXT}),
    "videomae": (
        "VideoMAEForVideoClassification",
        "VideoMAEConfig",
        {**_VIT, **_CLASSES, "num_frames": 4, "tubelet_size": 2},
    ),
    "ast": (
        "ASTForAudioClassification",
        "ASTConfig",
        {
            **{name: value for name, value in _VIT.items() if name != "image_size"},
            **_CLASSES,
            "patch_size": 16,
            "max_length": 64,
            "num_mel_bins": 32,
            "frequency_stride": 8,
            "time_stride": 8,
        },
    ),
    "whisper": ("WhisperForConditionalGeneration", "WhisperConfig", _WHISPER),
    "wav2vec2-ctc": ("Wav2Vec2ForCTC", "Wav2Vec2Config", _WAV),
    "wav2vec2-class": ("Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", {**_WAV, **_CLASSES}),
    "hubert": ("HubertModel", "HubertConfig", _WAV),
}


def build(family: str, **changes: object) -> transformers.PreTrainedModel:
    """Builds a random model, in eval mode."""
    import torch

    name, config, options = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, name)(getattr(transformers, config)(**{**options, **changes}))
        for parameter in model.parameters():  # the usual 0.02 makes all attention nearly uniform
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def picture(height: int = SIDE, width: int = SIDE, seed: int = 0) -> np.ndarray:
    """A random picture, uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def eye(cls: str = "ViTImageProcessor") -> transformers.ImageProcessingMixin:
    """An image processor for the models here."""
    return getattr(transformers, cls)(size={"height": SIDE, "width": SIDE})


def ear() -> transformers.WhisperFeatureExtractor:
    """Whisper's feature extractor for clips up to one second."""
    return transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=1)


def tone(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Noise that swells."""
    samples = np.random.default_rng(seed).normal(size=int(seconds * rate)).astype(np.float32)
    return samples * np.linspace(0.1, 0.5, samples.size, dtype=np.float32)
