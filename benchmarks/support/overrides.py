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

_RESNET_STAGES = {
    "embedding_size": 8,
    "hidden_sizes": [8, 8, 16, 16],
    "depths": [1, 1, 1, 1],
}
_SWIN = {
    "embed_dim": 16,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 2, 2, 4],
    "window_size": 4,
    "image_size": 64,
    "patch_size": 4,
}
_NECK = {
    "backbone_config": {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]},
    "neck_hidden_sizes": [16, 16, 32, 32],
}

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
    "blt": {"encoder_hash_byte_group_vocab": 64},
    "swiftformer": {"depths": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 16]},
    "dots1": {
        "num_experts_per_tok": 2, "routed_scaling_factor": 1.0, "n_routed_experts": 4, "n_shared_experts": 1,
        "n_group": 1, "topk_group": 1, "norm_topk_prob": True,
    },
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
    "glm4v_moe_text": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5,
                                           "mrope_section": [2, 1, 1]}},
    "mistral4_text": {},
    "reformer": {"axial_pos_shape": [4, 16], "axial_pos_embds_dim": [32, 32], "attn_layers": ["local", "lsh"]},
    "mamba2": {"num_heads": 8, "head_dim": 16, "expand": 2, "n_groups": 1, "chunk_size": 8},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "use_expert_bias": False},
    "lilt": {"hidden_size": 96, "intermediate_size": 96},
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
    "nemotron": {"head_dim": 16, "num_key_value_heads": 2},
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
    "cpmant": {"prompt_length": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "wav2vec2-conformer": {"vocab_size": 32},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid"] * 2, "num_hidden_layers": 4, "attention_hidden_size": 128,
        "attention_head_dim": 32,
    },
    "zamba2": {"attention_hidden_size": 128, "attention_head_dim": 32, "mamba_headdim": 16, "n_mamba_heads": 8},
    "t5gemma2_text": {"dropout_rate": 0.0},
    "step3p5": {"sliding_window": 4},
    "chameleon": {"vocabulary_map": {"<image>": 250}},
    "chameleon_vqgan": {"base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1},
    "emu3": {"vocabulary_map": {"<image>": 250, "<|extra_200|>": 251}},
    "emu3_vqgan": {"base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1},
    "janus_vqgan": {"base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1, "latent_channels": 32},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}},
        "layer_types": ["full_attention"] * 2, "num_hidden_layers": 2,
    },
    "florence_vision": {
        "embed_dim": [16, 16, 32, 64], "num_heads": [2, 2, 4, 4], "num_groups": [2, 2, 4, 4], "depths": [1, 1, 1, 1],
        "projection_dim": 64,
    },
    "lw_detr_vit": {"image_size": 256, "patch_size": 16},
    "gemma3n_text": {
        "num_kv_shared_layers": 0, "intermediate_size": [64, 64], "activation_sparsity_pattern": [0.0, 0.0],
        "laurel_rank": 8, "hidden_size_per_layer_input": 16,
    },
    "gemma4_text": {"num_kv_shared_layers": 0},
    "gemma4_unified_text": {"num_kv_shared_layers": 0},
    "blip-2": {"image_token_index": 250, "num_query_tokens": 10},
    "instructblip": {"image_token_index": 250, "num_query_tokens": 10},
    "dpt": {"num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [16, 16, 32, 32]},
    "perception_lm": {},
    "granite4_vision": {"deepstack_layer_map": [[-1, 0]], "spatial_target_layers": [1]},
    "clap_audio_model": {
        "depths": [1, 1], "num_attention_heads": [2, 4], "patch_embeds_hidden_size": 32, "hidden_size": 64,
        "num_hidden_layers": 2, "spec_size": 32, "num_mel_bins": 16, "window_size": 4,
    },
    "musicgen_decoder": {"pad_token_id": 250, "bos_token_id": 250},
    "musicgen_melody_decoder": {"pad_token_id": 250, "bos_token_id": 250},
    "moonshine_streaming": {"num_key_value_heads": 4},
    "nemotron_h": {
        "layers_block_type": ["linear_attention", "full_attention", "mlp"], "num_hidden_layers": 3,
        "mamba_num_heads": 8, "mamba_head_dim": 16, "n_groups": 2, "chunk_size": 8, "mtp_layers_block_type": [],
    },
    "longcat_flash": {
        "head_dim": 8, "qk_head_dim": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "zero_expert_num": 1,
    },
    "mistral4": {"qk_nope_head_dim": 8, "qk_rope_head_dim": 8},
    "mimi": {"upsample_groups": 64},
    "dac": {"downsampling_ratios": [2, 4], "upsampling_ratios": [4, 2], "encoder_hidden_size": 16, "hidden_size": 64,
            "decoder_hidden_size": 64, "n_codebooks": 2},
}  # fmt: skip

#: Types that are small enough as they are, and whose sizes hang together in too many ways.
AS_IS = frozenset({
    "rt_detr", "rt_detr_v2", "d_fine", "deimv2", "pp_doclayout_v2", "pp_doclayout_v3", "pp_doclayout_v4",
})  # fmt: skip

#: Fields of the configuration of one model type as a whole; sub-configurations as nested mappings.
OVERRIDES: dict[str, dict[str, Any]] = {
    "fun_asr_nano": {"adaptor_config": {"intermediate_size": 16}},
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "depth_anything": _NECK,
    "prompt_depth_anything": _NECK,
    "tipsv2_dpt": _NECK,
    "chmv2": _NECK,
    "maskformer": {"backbone_config": _SWIN},
    "mask2former": {"backbone_config": _SWIN},
    "oneformer": {"backbone_config": _SWIN},
    "upernet": {"backbone_config": _RESNET_STAGES},
    "dots3_note": {
        "audio_config": {"adapter_out_dim": 64, "adapter_input_size": 64},
        "vision_config": {"adapter_in_dim": 64, "adapter_out_dim": 64},
    },
    "nemotron_h_omni": {"vision_config": {"video_temporal_patch_size": 2}},
}


def _masked_patches(model: Any) -> Any:
    """A masked autoencoder's image, with the order in which it masks."""
    import torch

    config = model.config
    count = (config.image_size // config.patch_size) ** 2
    pixels = torch.randn(
        1, 3, config.image_size, config.image_size, generator=torch.Generator().manual_seed(3)
    )
    yield "image", {"pixel_values": pixels, "noise": torch.linspace(0, 1, count)[None]}


def _only_text(model: Any) -> Any:
    """Text, for families whose images take a tokenizer of their own."""
    from benchmarks.support.examples import _ids

    yield "text", _ids(model)


def _asked_twice(model: Any) -> Any:
    """An image, a text with places for it, and the same question to what reads the image."""
    import torch

    from benchmarks.support.examples import _pixels, ids

    words = ids(model.config, 6)
    count = int(model.config.num_query_tokens)
    for pixels in _pixels(model, {"pixel_values"}):
        yield (
            "image and text",
            {
                **pixels,
                "input_ids": torch.tensor([[*[model.config.image_token_index] * count, *words]]),
                "qformer_input_ids": torch.tensor([words]),
            },
        )


def _with_objects(model: Any) -> Any:
    """Words and the features of three objects."""
    import torch

    from benchmarks.support.examples import _ids, _noise

    features = _noise(1, 3, int(model.config.visual_feat_dim))
    yield "objects and text", {**_ids(model), "visual_feats": features, "visual_pos": torch.rand(1, 3, 4)}


def _codebooks(model: Any) -> Any:
    """Text, and sound in several codebooks."""
    import torch

    from benchmarks.support.examples import _ids

    count = int(model.config.decoder_config.num_channels)
    yield "text to speech", {**_ids(model), "decoder_input_ids": torch.full((1, 5, count), 3)}


#: Inputs of families that no rule fits: from a model to (label, tensors).
INPUTS: dict[str, Callable[[Any], Any]] = {
    "vit_mae": _masked_patches,
    "chameleon": _only_text,
    "emu3": _only_text,
    "instructblip": _asked_twice,
    "lxmert": _with_objects,
    "dia": _codebooks,
}

#: Types that are not tried, and why.
NOT_TRIED: dict[str, str] = {}

#: Which classes of a type are tried, in turn, where the first of the auto mappings is not the one to take.
CLASSES: dict[str, tuple[str, ...]] = {
    "vit_mae": ("ViTMAEModel",),
    "musicgen": ("MusicgenForConditionalGeneration",),
    "musicgen_melody": ("MusicgenMelodyForConditionalGeneration",),
}
