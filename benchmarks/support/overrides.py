"""What single families need beyond small sizes, declared."""

from __future__ import annotations

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
_REPVIT = {
    "architecture": "repvit_m1",
    "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
}
_STAGES = ["stage1", "stage2", "stage3", "stage4"]
_LATER = ["stage2", "stage3", "stage4", "stage5"]
_HALVING = {
    "out_features": _STAGES,
    "block_configs": [
        [[3, 96, 96, 1, True]], [[3, 96, 96, 2, False]], [[3, 96, 192, 2, False]], [[3, 192, 384, 2, False]],
    ],
}  # fmt: skip
_INTRACLASS = {
    "intraclass_block_config": {
        "reduce_channel": [1, 1, 0], "return_channel": [1, 1, 0],
        **{
            f"{name}_{ratio}": [kernel, 1, padding]
            for ratio, size in (("longratio", 7), ("midratio", 5), ("shortratio", 3))
            for name, kernel, padding in (
                ("vertical_long_to_small_conv", (size, 1), (size // 2, 0)),
                ("horizontal_small_to_long_conv", (1, size), (0, size // 2)),
                ("symmetric_conv_long", size, size // 2),
            )
        },
    },
    "scale_factor_list": [1, 2, 4, 8],
    "kernel_list": [3, 2, 2],
}  # fmt: skip
_TIMM_PE = {
    "model_type": "timm_wrapper",
    "architecture": "vit_pe_core_base_patch16_224",
    "model_args": {"img_size": [32, 32], "embed_dim": 64, "depth": 2, "num_heads": 4},
    "num_classes": 64,
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
    "timm_wrapper": {"architecture": "vit_tiny_patch16_224", "model_args": {"img_size": 32, "depth": 2}},
    "timm_backbone": {"backbone": "vit_tiny_patch16_224", "img_size": 32, "depth": 2},
    "fast_vlm": {
        "vision_config": {
            "model_type": "timm_wrapper",
            "architecture": "fastvit_mci3",
            "model_args": {
                "inference_mode": True,
                "layers": [1, 1, 1, 1, 1],
                "embed_dims": [8, 16, 16, 32, 32],
            },
            "hidden_size": 64,
        },
    },
    "gemma3n_vision": {"model_args": {"channel_multiplier": 0.1}},
    "gemma3n": {"vision_config": {"model_args": {"channel_multiplier": 0.1}}},
    "omdet-turbo": {
        "backbone_config": {
            "model_type": "timm_backbone",
            "backbone": "swin_tiny_patch4_window7_224",
            "img_size": 64,
            "out_indices": [1, 2, 3],
            "always_partition": True,
        },
        "image_size": 64,
    },
    "pe_video_encoder": {"vision_config": _TIMM_PE},
    "pe_video": {"video_config": {"vision_config": _TIMM_PE}},
    "pe_audio_video_encoder": {"video_config": {"vision_config": _TIMM_PE}},
    "pe_audio_video": {"audio_video_config": {"video_config": {"vision_config": _TIMM_PE}}},
    "perception_lm": {
        "vision_config": {
            **_TIMM_PE,
            "model_args": {
                "img_size": [32, 32],
                "embed_dim": 64,
                "depth": 2,
                "num_heads": 4,
                "global_pool": "",
                "use_post_transformer_norm": False,
                "init_values": 0.1,
                "ref_feat_shape": [2, 2],
            },
        },
    },
    "pp_doclayout_v2": {"class_thresholds": [0.5] * 20, "class_order": list(range(20))},
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
    "efficientnet": {"width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 128, "image_size": 64},
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
    "granite4_vision": {
        "deepstack_layer_map": [[-1, 0]], "spatial_target_layers": [1], "downsample_rate": "1/2",
    },
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
    "clvp_encoder": {"num_attention_heads": 2},
    "deepseek_ocr2_text": {
        "mlp_layer_types": ["dense", "sparse"], "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
    },
    "depth_pro": {
        "patch_size": 32, "intermediate_hook_ids": [1, 0], "intermediate_feature_dims": [16, 16],
        "scaled_images_feature_dims": [32, 32, 16], "fusion_hidden_size": 16,
    },
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 64},
    "efficientloftr": {
        "stage_num_blocks": [1, 1, 1, 1], "out_features": [16, 16, 32, 64], "hidden_size": 64,
        "num_attention_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8,
    },
    "ernie4_5_vl_moe_text": {
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e5, "mrope_section": [3, 3, 2]},
    },
    "fastspeech2_conformer_hifigan": {"model_in_dim": 80, "upsample_initial_channel": 64},
    "instructblipvideo": {"video_token_index": 250, "num_query_tokens": 10},
    "sam2_video_prompt_encoder": {"image_size": 128, "patch_size": 16},
    "edgetam_video_prompt_encoder": {"image_size": 128, "patch_size": 16},
    "sapiens2": {
        "num_key_value_heads_per_layer": [4, 2], "num_key_value_attention_heads": 2,
        "num_first_full_attention_layers": 1, "num_last_full_attention_layers": 0,
    },
    "neucodec": {"quantization_dim": 128},
    "xcodec2": {"quantization_dim": 128},
    "kosmos-2": {"latent_query_num": 4},
    "superpoint": {"keypoint_decoder_dim": 65},
    "qwen4_exp_text": {
        "layer_types": ["linear_attention", "indexed_attention"], "num_hidden_layers": 2, "indexer_n_heads": 4,
        "indexer_kv_heads": 1, "indexer_head_dim": 16, "indexer_budget": 4, "indexer_compress_ratio": 2,
    },
    "sam_vision_model": {"output_channels": 64, "num_pos_feats": 32, "window_size": 2, "global_attn_indexes": [1]},
    "sam_prompt_encoder": {"image_embedding_size": 4},
    "sam_hq_vision_model": {"output_channels": 64, "num_pos_feats": 32, "window_size": 2, "global_attn_indexes": [1]},
    "sam_hq_prompt_encoder": {"image_embedding_size": 4},
    "sam_hq_mask_decoder": {"vit_dim": 64},
    "sam2_hiera_det_model": {
        "hidden_size": 16, "embed_dim_per_stage": [16, 32, 64, 128], "num_attention_heads_per_stage": [1, 2, 4, 8],
        "blocks_per_stage": [1, 1, 2, 1], "global_attention_blocks": [3], "image_size": [128, 128],
        "window_positional_embedding_background_size": [2, 2], "window_size_per_stage": [4, 2, 2, 2],
    },
    "sam2_vision_model": {
        "backbone_channel_list": [128, 64, 32, 16], "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    },
    "sam2_prompt_encoder": {"image_size": 128, "patch_size": 16},
    "edgetam_vision_model": {"backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]]},
    "edgetam_prompt_encoder": {"image_size": 128, "patch_size": 16},
    "sam3_vision_model": {"backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]},
    "seggpt": {
        "num_hidden_layers": 4, "merge_index": 0, "intermediate_hidden_state_indices": [1, 2, 3],
        "image_size": [64, 32], "pretrain_image_size": 32,
    },
    "tvp": {"max_img_size": 64, "visual_prompt_size": 8, "num_frames": 2},
    "vitmatte": {"fusion_hidden_sizes": [32, 16, 16, 16], "convstream_hidden_sizes": [8, 16, 16]},
    "vibevoice_acoustic_tokenizer": {"num_filters": 2, "depths": [1] * 7},
    "vibevoice_acoustic_tokenizer_encoder": {"num_filters": 2, "depths": [1] * 7},
    "vibevoice_acoustic_tokenizer_decoder": {"num_filters": 2, "depths": [1] * 7},
    "sapiens2_head": {
        "upsample_out_channels": [16, 16], "upsample_kernel_sizes": [4, 4], "conv_out_channels": [16],
        "conv_kernel_sizes": [1],
    },
    "dac": {"downsampling_ratios": [2, 4], "upsampling_ratios": [4, 2], "encoder_hidden_size": 16, "hidden_size": 64,
            "decoder_hidden_size": 64, "n_codebooks": 2},
}  # fmt: skip

#: Types that are small enough as they are, and whose sizes hang together in too many ways.
AS_IS = frozenset({
    "rt_detr", "rt_detr_v2", "d_fine", "deimv2", "pp_doclayout_v2", "pp_doclayout_v3", "pp_doclayout_v4",
})  # fmt: skip

#: Fields of the configuration of one model type as a whole; sub-configurations as nested mappings.
OVERRIDES: dict[str, dict[str, Any]] = {
    "fast_vlm": {"vision_config": {"hidden_size": 64}},
    "omdet-turbo": {
        "image_size": 64,
        "backbone_config": {"img_size": 64, "always_partition": True, "out_indices": [1, 2, 3]},
        "vision_features_channels": [32, 32, 32],
        "d_model": 32,
        "encoder_hidden_dim": 32,
        "decoder_hidden_dim": 32,
    },
    "upernet": {"backbone_config": {**_RESNET_STAGES, "out_features": _STAGES}},
    "slanet": {"backbone_config": {"out_features": _LATER}},
    "pp_ocrv5_mobile_det": {"backbone_config": {"out_features": _LATER}},
    "pp_ocrv5_server_det": {**_INTRACLASS, "backbone_config": {"out_features": _STAGES}},
    "pp_ocrv6_medium_det": {**_INTRACLASS, "backbone_config": _HALVING},
    "pp_ocrv6_small_det": {
        "backbone_config": _HALVING,
        "layer_list_out_channels": [96, 96, 192, 384],
    },
    "uvdoc": {"backbone_config": {"out_features": [f"stage{n}" for n in range(1, 7)]}},
    "lw_detr": {"projector_scale_factors": [1.0], "backbone_config": {"out_features": ["stage2"]}},
    "edgetam": {"vision_config": {"backbone_config": _REPVIT}},
    "edgetam_vision_model": {"backbone_config": _REPVIT},
    "fun_asr_nano": {"adaptor_config": {"intermediate_size": 16}},
    "hrm_text": {"num_hidden_layers": 16, "num_layers_per_stack": 2},  # two layers, 2 (3 + 1) times
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "depth_anything": _NECK,
    "prompt_depth_anything": _NECK,
    "tipsv2_dpt": _NECK,
    "chmv2": {
        "backbone_config": {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4], "return_class_token": True},
        "post_process_channels": [16, 16, 32, 32],
    },
    "zoedepth": {
        "backbone_config": {
            "num_hidden_layers": 4,
            "out_indices": [1, 2, 3, 4],
            "reshape_hidden_states": False,
        },
        "neck_hidden_sizes": [16, 16, 32, 32],
        "bottleneck_features": 64,
    },
    "vitmatte": {"backbone_config": {"num_channels": 4, "patch_size": 16}},
    "xcodec": {
        "acoustic_model_config": {"downsampling_ratios": [8, 5, 4, 2], "upsampling_ratios": [8, 5, 4, 2]}
    },
    "maskformer": {"backbone_config": _SWIN},
    "mask2former": {"backbone_config": {**_SWIN, "out_features": _STAGES}},
    "oneformer": {"backbone_config": {**_SWIN, "out_features": _STAGES}},
    "tvp": {"backbone_config": _RESNET_STAGES},
    "dots3_note": {
        "audio_config": {"adapter_out_dim": 64, "adapter_input_size": 64},
        "vision_config": {"adapter_in_dim": 64, "adapter_out_dim": 64},
    },
    "nemotron_h_omni": {"vision_config": {"video_temporal_patch_size": 2}},
}

#: Types that are not tried, and why.
NOT_TRIED: dict[str, str] = {
    "dinat": "needs natten, whose releases for this torch run on GPUs alone",
    "layoutlmv2": "needs detectron2, which is not on the package index",
    "higgs_audio_v2_tokenizer": "needs torchaudio, whose last release on the package index is built for CUDA",
    "glm_image_vqmodel": "has no forward pass: it is called by its methods encode and decode",
    "gemma4_assistant": "drafts for another model, attends to that model's keys and does not run without them",
    "gemma4_unified_assistant": "drafts for another model, attends to that model's keys and does not run without them",
    "voxtral_realtime_text": "a part of voxtral_realtime that does not run without that model's embedding of time",
    "sam3_tracker_video": "reads a session object, not tensors",
    "nemotron_asr_streaming_encoder": "its own eager attention gives NaN for any input in transformers 5.23: a mask of "
    "numbers is read as one of booleans",
}

#: Which classes of a type are tried, in turn, where the first of the auto mappings is not the one to take.
CLASSES: dict[str, tuple[str, ...]] = {
    "vit_mae": ("ViTMAEModel",),
    "bark": ("BarkSemanticModel",),
    "qwen2_5_omni": ("Qwen2_5OmniThinkerForConditionalGeneration",),
    "qwen3_omni_moe": ("Qwen3OmniMoeThinkerForConditionalGeneration",),
    "musicgen": ("MusicgenForConditionalGeneration",),
    "musicgen_melody": ("MusicgenMelodyForConditionalGeneration",),
}
