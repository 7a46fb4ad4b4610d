"""What single families need beyond small sizes, declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_RESNET = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 8, 16, 16],
    "depths": [1, 1, 1, 1],
    "out_features": ["stage4"],
}
_SERIES = {"prediction_length": 6, "context_length": 12, "num_time_features": 1, "lags_sequence": [1, 2]}

#: Arguments that a configuration class cannot do without, or must have from the start, by model type.
DEFAULTS: dict[str, dict[str, Any]] = {
    "conditional_detr": {"use_timm_backbone": False, "backbone": None, "backbone_config": _RESNET},
    "dab-detr": {"use_timm_backbone": False, "backbone": None, "backbone_config": _RESNET},
    "detr": {"use_timm_backbone": False, "backbone": None, "backbone_config": _RESNET},
    "deformable_detr": {
        "use_timm_backbone": False,
        "backbone": None,
        "backbone_config": {**_RESNET, "out_features": ["stage2", "stage3", "stage4"]},
    },
    "table-transformer": {"use_timm_backbone": False, "backbone": None, "backbone_config": _RESNET},
    "gemma4_assistant": {"text_config": {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}},
    "encoder-decoder": {
        "encoder": {"model_type": "bert"},
        "decoder": {"model_type": "bert", "is_decoder": True, "add_cross_attention": True},
    },
    "vision-encoder-decoder": {
        "encoder": {"model_type": "vit"},
        "decoder": {"model_type": "bert", "is_decoder": True, "add_cross_attention": True},
    },
    "speech-encoder-decoder": {
        "encoder": {"model_type": "wav2vec2"},
        "decoder": {"model_type": "bert", "is_decoder": True, "add_cross_attention": True},
    },
}

#: Fields of the configuration of one model type, when it is built by itself or inside another.
BY_CLASS: dict[str, dict[str, Any]] = {
    "codegen": {"rotary_dim": 4},
    "gptj": {"rotary_dim": 4},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": True},
    "dbrx": {},
    "autoformer": {**_SERIES, "label_length": 4},
    "informer": _SERIES,
    "time_series_transformer": _SERIES,
    "swin": {
        "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4, "image_size": 32, "patch_size": 4,
    },
    "swinv2": {
        "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4, "image_size": 32, "patch_size": 4,
        "pretrained_window_sizes": [0, 0],
    },
    "swin2sr": {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4, "image_size": 32},
    "donut-swin": {
        "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4, "image_size": 32, "patch_size": 4,
    },
    "maskformer-swin": {
        "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4, "image_size": 32, "patch_size": 4,
    },
    "deepseek_v2": {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
    "longcat_flash": {"mla_scale_q_lora": True, "head_dim": 8},
    "glm4v_moe_text": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5,
                                           "mrope_section": [2, 1, 1]}},
    "mistral4_text": {},
    "reformer": {"axial_pos_shape": [4, 16], "axial_pos_embds_dim": [32, 32], "attn_layers": ["local", "lsh"]},
    "mamba2": {"num_heads": 8, "head_dim": 16, "expand": 2, "n_groups": 1, "chunk_size": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "use_expert_bias": False},
    "lilt": {"hidden_size": 64, "channel_shrink_ratio": 4},
    "efficientnet": {"width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 32, "image_size": 64},
    "align_vision_model": {"width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 32, "image_size": 64},
    "fun_asr_nano_adaptor": {"intermediate_size": 16},
    "mask2former": {},
    "squeezebert": {"embedding_size": 64},
    "audio-spectrogram-transformer": {"max_length": 64, "num_mel_bins": 32, "patch_size": 16},
    "internvl_vision": {"image_size": [32, 32], "patch_size": [8, 8]},
    "qianfan_ocr_vision": {"image_size": [32, 32], "patch_size": [8, 8]},
    "ijepa": {},
    "granite_speech5_encoder": {},
    "nemotron": {"head_dim": 16},
    "ministral": {"head_dim": 16},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "hunyuan_vl_text": {"head_dim": 16},
    "perceiver": {"num_latents": 10, "d_latents": 64, "d_model": 64, "image_size": 32, "train_size": [32, 32]},
    "wav2vec2-bert": {"vocab_size": 32},
    "vitpose_backbone": {"image_size": [32, 32], "patch_size": [8, 8]},
    "vivit": {"num_frames": 8, "tubelet_size": [2, 8, 8], "image_size": 32},
    "tvp": {},
    "bros": {},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"], "mamba_n_heads": 8, "mamba_d_head": 16},
    "bamba": {"attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 16},
    "nemotron_h": {},
    "cpmant": {"prompt_length": 4, "prompt_types": 2, "segment_types": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
}  # fmt: skip

#: Fields of the configuration of one model type as a whole; sub-configurations as nested mappings.
OVERRIDES: dict[str, dict[str, Any]] = {}

#: Inputs of families that no rule fits: from a model to (label, tensors).
INPUTS: dict[str, Callable[[Any], Any]] = {}

#: Which classes of a type are tried, in turn, where the first of the auto mappings is not the one to take.
CLASSES: dict[str, tuple[str, ...]] = {}
